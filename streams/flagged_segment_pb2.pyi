from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class FlaggedSegment(_message.Message):
    __slots__ = ("schema", "window", "alert_id", "code", "priority", "reason", "start_ns", "deadline_ns", "citations")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ALERT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_NS_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    schema: int
    window: bytes
    alert_id: str
    code: str
    priority: str
    reason: str
    start_ns: int
    deadline_ns: int
    citations: bytes
    def __init__(self, schema: _Optional[int] = ..., window: _Optional[bytes] = ..., alert_id: _Optional[str] = ..., code: _Optional[str] = ..., priority: _Optional[str] = ..., reason: _Optional[str] = ..., start_ns: _Optional[int] = ..., deadline_ns: _Optional[int] = ..., citations: _Optional[bytes] = ...) -> None: ...
