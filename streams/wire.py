"""Encoding and validated decoding of `EcgWindow` and of the flagged segment (Protobuf).

`RejectedMessage` reports an unreadable message; its text names field, value, what to do, and the place of the message:
``sampling_rate 0.0 is not in 50…2000 Hz: … (bed icu-3/07, ecg.windows/3 offset 1291)``. The worker writes the bytes
with that text to the dead-letter topic (`streams.dead_letter`) and goes on.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from pydantic import TypeAdapter, ValidationError

from streams import ecg_window_pb2, flagged_segment_pb2
from streams.alert import Citation
from streams.document import wrong_fields
from streams.identifiers import PATIENT_PATTERN, described, displayed_key, is_bed_stream
from streams.partition import partition_of
from streams.window import (
    MAX_LEADS,
    WINDOW_SCHEMA,
    EcgWindow,
    InvalidWindow,
    check_counts,
    window_of_ecg,
)

__all__ = [
    "EcgWindow",
    "FlaggedSegment",
    "InvalidWindow",
    "RejectedMessage",
    "decode_flagged",
    "decode_window",
    "encode_flagged",
    "encode_window",
    "window_of_ecg",
]

FLAGGED_SCHEMA = 1
MAX_VALUE_BYTES = 4 * 1024 * 1024  # 64 leads × 10 s × 2000 Hz are 2.6 MB; rejected by size alone, before it is parsed
MAX_BESIDE_SAMPLES = 128 * 1024  # bytes; 64 names and 20,001 pacing marks take 70 KB, unknown fields cost the most time
_INT16_LE = np.dtype("<i2")
_CITATIONS = TypeAdapter(list[Citation])


class RejectedMessage(Exception):  # noqa: N818  (an outcome that is logged and counted, not a failure of the program)
    """An unreadable message.

    Parameters
    ----------
    reason : str
        Field, value, what to do, and topic, partition and offset.
    field_name : str
        The invalid field; ``""`` where the bytes as a whole are unreadable.
    """

    def __init__(self, reason: str, field_name: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field_name = field_name


def encode_window(window: EcgWindow) -> bytes:
    """The Protobuf bytes of a window, with the unknown fields that a newer writer sent in it."""
    gain = window.lsb_uv
    same_gain = gain.size > 1 and bool((gain == gain[0]).all())
    message = ecg_window_pb2.EcgWindow(
        schema=WINDOW_SCHEMA,
        bed_stream=window.bed_stream,
        unit=window.unit,
        bed=window.bed,
        patient=window.patient,
        device_time_ns=window.device_time_ns,
        gateway_time_ns=window.gateway_time_ns,
        epoch=window.epoch,
        sequence=window.sequence,
        sampling_rate=window.fs_hz,
        leads=window.leads,
        lsb_uv=(gain[:1] if same_gain else gain).tolist(),
        samples=np.ascontiguousarray(window.samples, _INT16_LE).tobytes(),
        leads_off=window.leads_off,
        pacer_marks=window.pacer_marks.tolist(),
        paced=window.paced,
        age_years=window.age_years,
        sex=window.sex,
    )
    return message.SerializeToString() + window.unknown


def decode_window(
    value: bytes | None,
    *,
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None = None,
    n_partitions: int | None = None,
    patient_pattern: str = PATIENT_PATTERN,
) -> EcgWindow:
    """Decode and check one message.

    Parameters
    ----------
    value : bytes
        The received bytes.
    topic, partition, offset
        Place of the message; the reason of a rejection names it.
    key : bytes, optional
        The message key, which must be the bed stream; checked where it or ``n_partitions`` is given.
    n_partitions : int, optional
        Number of partitions of the topic; the partition of the key must be ``partition``.
    patient_pattern : str
        Regular expression of a whole pseudonym.

    Raises
    ------
    RejectedMessage
        The message breaks a rule; the reason goes to the dead letter.
    """
    where = f"{topic}/{partition} offset {offset}"
    message = ecg_window_pb2.EcgWindow()
    _check_size(value, where)
    if value is None:
        raise RejectedMessage(f"value is null, not an EcgWindow: send an EcgWindow in every record ({where})")
    try:
        message.ParseFromString(value)
    except DecodeError as e:
        raise RejectedMessage(
            f"value of {len(value)} bytes is not an EcgWindow: {e}; encode it with ecg_window.proto ({where})"
        ) from None
    where = f"bed {message.bed_stream if is_bed_stream(message.bed_stream) else '?'}, {where}"
    try:
        _check_schema(message.schema)
        _check_counts(message)
        _check_beside_samples(len(value) - len(message.samples))
        window = _window(message)
        _check_patient(window.patient, patient_pattern)
        if key is not None or n_partitions is not None:
            _check_place(window.bed_stream, key, partition, n_partitions)
    except InvalidWindow as e:
        raise RejectedMessage(f"{e} ({where})", e.field_name) from None
    return window


def _window(message: ecg_window_pb2.EcgWindow) -> EcgWindow:
    leads = tuple(message.leads)
    return EcgWindow(
        bed_stream=message.bed_stream,
        unit=message.unit,
        bed=message.bed,
        patient=message.patient,
        device_time_ns=message.device_time_ns,
        gateway_time_ns=message.gateway_time_ns,
        epoch=message.epoch,
        sequence=message.sequence,
        fs_hz=message.sampling_rate,
        leads=leads,
        lsb_uv=np.array(message.lsb_uv, np.float32),
        samples=_units(message.samples, len(leads)),
        leads_off=tuple(message.leads_off),
        pacer_marks=np.array(message.pacer_marks, np.int64),
        paced=message.paced,
        age_years=message.age_years,
        sex=message.sex,
        unknown=_unknown_bytes(message),
    )


def _units(samples: bytes, n_leads: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """int16 [leads, samples], a view of the message's bytes."""
    if n_leads == 0:
        return np.zeros((0, 0), np.int16)  # `EcgWindow` rejects a message without leads by that name
    if len(samples) % (2 * n_leads):
        raise InvalidWindow(
            "samples",
            f"samples has {len(samples)} bytes, not a multiple of 2 bytes × {n_leads} leads: "
            "send the same number of int16 samples for every lead",
        )
    units = np.frombuffer(samples, _INT16_LE).reshape(n_leads, -1)
    return units if sys.byteorder == "little" else units.astype(np.int16)


def _check_size(value: bytes | None, where: str) -> None:
    if value is not None and len(value) > MAX_VALUE_BYTES:
        raise RejectedMessage(
            f"value has {len(value)} bytes, more than {MAX_VALUE_BYTES}, which hold 64 leads of 10 s at 2000 Hz: "
            f"send messages of about 1 s ({where})"
        )


def _check_counts(message: ecg_window_pb2.EcgWindow) -> None:
    """Before anything is done for each name or mark."""
    leads = len(message.leads)
    check_counts(leads=leads, leads_off=len(message.leads_off), pacer_marks=len(message.pacer_marks))
    if len(message.lsb_uv) > MAX_LEADS:
        raise InvalidWindow(
            "lsb_uv",
            f"lsb_uv has {len(message.lsb_uv)} values for {leads} leads: send one for all, or one per lead",
        )


def _check_beside_samples(n_bytes: int) -> None:
    if n_bytes > MAX_BESIDE_SAMPLES:
        raise InvalidWindow(
            "",
            f"value has {n_bytes} bytes beside its samples, more than {MAX_BESIDE_SAMPLES}: "
            "send shorter names, and no large unknown fields",
        )


def _check_schema(schema: int) -> None:
    if schema > WINDOW_SCHEMA:
        raise InvalidWindow(
            "schema",
            f"schema {schema} is newer than {WINDOW_SCHEMA}, the newest supported one: "
            "update the workers before the producers",
        )
    if schema != WINDOW_SCHEMA:
        raise InvalidWindow("schema", f"schema {schema} is not {WINDOW_SCHEMA}: set it in every message")


@lru_cache(maxsize=8)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _check_patient(patient: str, pattern: str) -> None:
    if patient and not _compiled(pattern).fullmatch(patient):
        raise InvalidWindow(
            "patient",
            f"patient {described(patient)} is no pseudonym (GEM_BEDSIDE_PATIENT_PATTERN): send a pseudonym such as "
            "p-81f3, or leave it empty where it is not known",
        )


def _check_place(bed_stream: str, key: bytes | None, partition: int, n_partitions: int | None) -> None:
    if key != bed_stream.encode():
        raise InvalidWindow(
            "bed_stream",
            f"bed_stream {bed_stream!r} is not the message key {displayed_key(key)}: set the key to the bed stream",
        )
    if n_partitions is None:
        return
    right = partition_of(key, n_partitions)
    if partition != right:
        raise InvalidWindow(
            "bed_stream",
            f"bed_stream {bed_stream!r} belongs on partition {right} of {n_partitions}, not {partition}: "
            "use Kafka's own murmur2 partitioner (librdkafka clients: partitioner=murmur2_random)",
        )


def _unknown_bytes(message: ecg_window_pb2.EcgWindow) -> bytes:
    fields: Any = UnknownFieldSet(message)  # iterable, although its type stubs lack this
    return b"".join(_encoded(f) for f in fields) if len(fields) else b""


def _encoded(unknown: Any) -> bytes:
    """One unknown field in wire format (Protobuf encoding, wire types 0, 1, 2, 3, 5)."""
    tag = _varint(unknown.field_number << 3 | unknown.wire_type)
    match unknown.wire_type:
        case 0:
            return tag + _varint(unknown.data)
        case 1:
            return tag + int(unknown.data).to_bytes(8, "little")
        case 2:
            return tag + _varint(len(unknown.data)) + bytes(unknown.data)
        case 3:
            return tag + b"".join(_encoded(f) for f in unknown.data) + _varint(unknown.field_number << 3 | 4)
        case _:
            return tag + int(unknown.data).to_bytes(4, "little")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass(frozen=True, eq=False)
class FlaggedSegment:
    """A segment that the monitor sends to the interpreter (internal, topic ``ecg.flagged``).

    Parameters
    ----------
    window : EcgWindow
        The segment, leads as recorded.
    alert_id, code, priority, reason : str
        The alert of the segment, and the reason for the flag.
    start_ns, deadline_ns : int
        UTC of the first sample in documents; UTC after which an interpretation comes too late.
    citations : tuple of Citation
        Citations of the start version, numbered 1 to k; those of the interpreter go on from k + 1.
    """

    window: EcgWindow
    alert_id: str
    code: str
    priority: str
    reason: str
    start_ns: int
    deadline_ns: int
    citations: tuple[Citation, ...] = ()


def encode_flagged(segment: FlaggedSegment) -> bytes:
    """The Protobuf bytes of a flagged segment."""
    return flagged_segment_pb2.FlaggedSegment(
        schema=FLAGGED_SCHEMA,
        window=encode_window(segment.window),
        alert_id=segment.alert_id,
        code=segment.code,
        priority=segment.priority,
        reason=segment.reason,
        start_ns=segment.start_ns,
        deadline_ns=segment.deadline_ns,
        citations=_CITATIONS.dump_json(list(segment.citations), by_alias=True),
    ).SerializeToString()


def decode_flagged(value: bytes | None, *, topic: str, partition: int, offset: int) -> FlaggedSegment:
    """Decode one flagged segment; `RejectedMessage` names the invalid field and the place."""
    where = f"{topic}/{partition} offset {offset}"
    _check_size(value, where)
    message = flagged_segment_pb2.FlaggedSegment()
    try:
        message.ParseFromString(value or b"")
        citations = _CITATIONS.validate_json(message.citations or b"[]")
    except DecodeError as e:
        raise RejectedMessage(f"value of {len(value or b'')} bytes is not a FlaggedSegment: {e} ({where})") from None
    except ValidationError as e:
        reason = f"{e.error_count()} citations are invalid: {wrong_fields(e)} ({where})"
        raise RejectedMessage(reason, "citations") from None
    if message.schema != FLAGGED_SCHEMA:
        raise RejectedMessage(
            f"schema {message.schema} is not {FLAGGED_SCHEMA}: run monitor and interpreter of one version ({where})",
            "schema",
        )
    return FlaggedSegment(
        # The monitor has accepted the pseudonym by the site's pattern.
        window=decode_window(message.window, topic=topic, partition=partition, offset=offset, patient_pattern=".*"),
        alert_id=message.alert_id,
        code=message.code,
        priority=message.priority,
        reason=message.reason,
        start_ns=message.start_ns,
        deadline_ns=message.deadline_ns,
        citations=tuple(citations),
    )
