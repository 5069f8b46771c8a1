"""Reports of one alarm condition from the rhythm tier, the encoder tier and the monitor to the life cycle.

A report is not an alert. The same condition is reported at every update while it is present, and once more when it has
ended; the life cycle decides which alert it belongs to and whether it sounds. All instants are UTC nanoseconds on the
bed's time (device time plus the bed's clock offset).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from models.arrhythmia.codes import CODES
from streams.alert import Citation, Priority, Provenance, Segment

MONITOR_CODES = frozenset(
    {
        "CANNOT_ANALYZE",
        "SILENT_FEED",
        "CLOCK_JUMP",
        "DUPLICATE_SOURCE",
        "PATIENT_MISMATCH",
        "ENCODER_UNAVAILABLE",
        "GEM_UNAVAILABLE",
        "INTERPRETATION",
    }
)
"""Codes that the rhythm tier does not report: only a report of their end ends them."""


ALL_OFF_PRIORITY: Priority = "PM"


def priority_of(code: str, leads_off: Collection[str], leads: Collection[str]) -> Priority | None:
    """The priority of a condition where it is not its code's: all of the ``leads`` detached (docs/alarms.md)."""
    return ALL_OFF_PRIORITY if code == "LEADS_OFF" and set(leads_off) >= set(leads) else None


@dataclass(frozen=True, slots=True)
class ConditionReport:
    """One condition as it is known now.

    Attributes
    ----------
    code : str
        One of `models.arrhythmia.codes.CODES`.
    onset_ns : int
        When the condition began.
    detected_ns : int
        Up to where the signal had been seen when the condition was first detected.
    last_held_ns : int
        Where it last held.
    end_ns : int or None
        Where it last held, once it is over by evidence; None while it is on.
    held : bool
        On only because the signal is unusable: neither present nor absent. It counts as present.
    live : bool
        Reported by the analysis that stands at the newest signal of the bed. False for backfilled signal (a
        backlog, a burst of old messages): such a condition is recorded when its end is known, and sounds only where
        that lies at most 30 s back.
    priority : {"PH", "PM", "PL", "PN"} or None
        Where it differs from the code's own (all leads off: PM). A later report without it leaves the alert's as it is,
        so that a lead that comes and goes does not make a version a second.
    citations : tuple of Citation
        The start version's, numbered 1…k. Needed for the first report alone; see `agents.lifecycle.matching.alert_of`.
    leads, derived_leads : tuple of str
        Leads that the condition was detected in, and those of them that were derived.
    segment : Segment or None
        The flagged segment; its ``strip`` is filled in by the life cycle, which knows the alert's id.
    provenance : Provenance
        Versions and models that it comes from.
    """

    code: str
    onset_ns: int
    detected_ns: int
    last_held_ns: int
    end_ns: int | None = None
    held: bool = False
    live: bool = True
    priority: Priority | None = None
    citations: tuple[Citation, ...] = ()
    leads: tuple[str, ...] = ()
    derived_leads: tuple[str, ...] = ()
    segment: Segment | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(monitor="0"))

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"{self.code!r} is no alarm code; there are {', '.join(CODES)}")
        last = self.last_held_ns if self.end_ns is None else self.end_ns
        if last < self.onset_ns:
            raise ValueError(f"{self.code} last held at {last} ns, before its onset at {self.onset_ns} ns")
        numbers = [c.n for c in self.citations]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"citations of {self.code} are numbered {numbers}: a start version counts 1…k")

    @property
    def last_ns(self) -> int:
        """Where the condition last held, over or not."""
        return self.last_held_ns if self.end_ns is None else self.end_ns
