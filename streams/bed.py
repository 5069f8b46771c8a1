"""The bed document (compacted on ``ecg.beds``), people's actions on beds and alerts, and the vitals of a second."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, field_validator

from streams.alert import Alert
from streams.document import Document, Time

SYSTEM = "_system"  # bed stream and unit of the workers' own alarms (a service is missing); no signal has this key
MAX_ACTION_BYTES = 65_536  # of the JSON, rejected by size before it is parsed; the largest valid one has a tenth
MAX_ARGS_BYTES = 4096  # of an action's args as JSON; limits of all codes take 2 KB
VERDICT_S = 10.0  # a reader says NOT MONITORED of a monitored bed whose newest verdict is older
APPLIED_IDS_KEPT = 256  # ids of actions and interpretations that a bed remembers, so that each is applied once


class Status(StrEnum):
    """Monitoring status of a bed."""

    MONITORED = "monitored"
    STANDBY = "standby"
    DISCHARGED = "discharged"


class BedChange(Document):
    """One entry of a bed's audit log: change, time and person."""

    what: str
    at: Time
    by: str


class Baseline(Document):
    """Medians of a bed's first five usable minutes; None until then."""

    st_mv: dict[str, float] = {}
    qrs_ms: float | None = None
    pr_ms: float | None = None
    since: Time | None = None


class Skipped(Document):
    """Offsets of ``ecg.windows`` that were skipped to judge the newest signal first; they wait for backfill."""

    first: int
    last: int


class Bed(Document):
    """The state of one bed with its alerts, from which another worker resumes."""

    schema_: int = Field(default=1, alias="schema")
    generation: int = 0
    bed_stream: str
    unit: str
    bed: str
    patient: str = ""
    status: Status = Status.MONITORED
    since: Time
    by: str = ""
    limits: dict[str, dict[str, Any]] = {}
    baseline: Baseline | None = None
    clock_offset_s: float = 0.0
    audio_paused_since: Time | None = None
    audio_paused_until: Time | None = None
    changes: list[BedChange] = []
    alerts: list[Alert] = []
    applied: dict[str, int] = {}
    applied_ids: list[str] = []
    skipped: list[Skipped] = []


ActionName = Literal["acknowledge", "silence", "admit", "discharge", "standby", "resume", "limits", "baseline"]


class Action(Document):
    """An action of a person on a bed or an alert; ``id`` is applied once."""

    schema_: int = Field(default=1, alias="schema")
    id: str = Field(min_length=1, max_length=128)
    action: ActionName
    bed_stream: str = Field(max_length=64)
    alert_id: str | None = Field(default=None, max_length=128)
    by: str = Field(min_length=1, max_length=64)
    at: Time
    args: dict[str, Any] = {}

    @field_validator("args")
    @classmethod
    def _bounded(cls, args: dict[str, Any]) -> dict[str, Any]:
        size = len(json.dumps(args, default=str, separators=(",", ":"), ensure_ascii=False).encode(errors="replace"))
        if size > MAX_ARGS_BYTES:
            raise ValueError(f"args has {size} bytes of JSON, more than {MAX_ARGS_BYTES}: send what the action needs")
        return args

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """Read one action; a ValueError names the fields that do not fit."""
        if len(data) > MAX_ACTION_BYTES:
            raise ValueError(f"the action has {len(data)} bytes, more than {MAX_ACTION_BYTES}: send its fields only")
        return super().from_json(data)


class Wave(Document):
    """One lead for the station's live trace, mV, at most 125 Hz."""

    lead: str
    sampling_rate: float
    start: Time
    mv: list[float | None]


class Vitals(Document):
    """Vitals of a bed for one second; they may be dropped, and are never delivered late.

    ``judged_at`` is the time of the newest signal on which the rhythm was judged; None before the first.
    """

    schema_: int = Field(default=1, alias="schema")
    bed_stream: str
    at: Time
    judged_at: Time | None = None
    hr: float | None = None
    rhythm: str | None = None
    pvc_per_min: float | None = None
    st: dict[str, float] = {}
    quality: dict[str, float] = {}
    wave: Wave | None = None
