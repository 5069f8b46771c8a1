from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class EcgWindow(_message.Message):
    __slots__ = ("schema", "bed_stream", "unit", "bed", "patient", "device_time_ns", "gateway_time_ns", "epoch", "sequence", "sampling_rate", "leads", "lsb_uv", "samples", "leads_off", "pacer_marks", "paced", "age_years", "sex")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    BED_STREAM_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    BED_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_RATE_FIELD_NUMBER: _ClassVar[int]
    LEADS_FIELD_NUMBER: _ClassVar[int]
    LSB_UV_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    LEADS_OFF_FIELD_NUMBER: _ClassVar[int]
    PACER_MARKS_FIELD_NUMBER: _ClassVar[int]
    PACED_FIELD_NUMBER: _ClassVar[int]
    AGE_YEARS_FIELD_NUMBER: _ClassVar[int]
    SEX_FIELD_NUMBER: _ClassVar[int]
    schema: int
    bed_stream: str
    unit: str
    bed: str
    patient: str
    device_time_ns: int
    gateway_time_ns: int
    epoch: int
    sequence: int
    sampling_rate: float
    leads: _containers.RepeatedScalarFieldContainer[str]
    lsb_uv: _containers.RepeatedScalarFieldContainer[float]
    samples: bytes
    leads_off: _containers.RepeatedScalarFieldContainer[str]
    pacer_marks: _containers.RepeatedScalarFieldContainer[int]
    paced: bool
    age_years: int
    sex: str
    def __init__(self, schema: _Optional[int] = ..., bed_stream: _Optional[str] = ..., unit: _Optional[str] = ..., bed: _Optional[str] = ..., patient: _Optional[str] = ..., device_time_ns: _Optional[int] = ..., gateway_time_ns: _Optional[int] = ..., epoch: _Optional[int] = ..., sequence: _Optional[int] = ..., sampling_rate: _Optional[float] = ..., leads: _Optional[_Iterable[str]] = ..., lsb_uv: _Optional[_Iterable[float]] = ..., samples: _Optional[bytes] = ..., leads_off: _Optional[_Iterable[str]] = ..., pacer_marks: _Optional[_Iterable[int]] = ..., paced: _Optional[bool] = ..., age_years: _Optional[int] = ..., sex: _Optional[str] = ...) -> None: ...
