"""The times of the alarm life cycle, each with its source, and what a site may set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.arrhythmia.codes import CODES
from models.arrhythmia.limits import Limits
from streams.identifiers import PATIENT_PATTERN

SECOND_NS = 1_000_000_000

LATE_AFTER_S = 30.0
"""A condition that ended longer ago than this before it was seen is history: recorded, never sounded. Without it a
burst of buffered telemetry after an outage would sound every alarm of the outage at once."""

REALARM_S = {"PM": 180.0, "PL": 600.0}
"""The same code, or a lower-ranked one of its group, does not sound again for this long. Without it an irregular
rhythm at the limit sounds every few seconds. The arrhythmia timeouts of Philips IntelliVue (first level up to
5 minutes, second level up to 15) are of this kind; PH has none."""

REMINDER_S = 120.0
"""A lethal alarm that nobody has acknowledged is called to mind this often (Philips V24: alarm reminder after 2 or 3
minutes). Without it a silenced or superseded alarm may stay unnoticed."""

ESCALATE_AFTER_S = 180.0
"""A lethal alarm unacknowledged for this long, one reminder included, gets the mark on which consumers call more
people. The longest audio pause is as long: whoever paused the sound and left is found out when it ends."""

AUDIO_PAUSE_MAX_S = 180.0
"""Longest audio pause that can be asked for (alarm systems of bedside monitors: 2 to 3 minutes; Dräger IACS: 2)."""

ADVICE_STAYS_S = 600.0
"""An interpretation without an alarm stays on for this long, or until it is acknowledged: the interpretation takes up
to half a minute, and no sound calls a person to it."""

KEEP_OFF_S = 600.0
"""Alerts stay in the bed document for this long after they are off: late interpretations still find them, a new worker
publishes them again, and the longest re-alarm time is remembered."""

KEEP_OFF_MOST = 64
"""At most so many of them: a bed with hundreds of single ventricular beats must not grow its document to the broker's
limit of 1 MB. Those that never sounded give way first, since the re-alarm times rest on those that did."""

MAX_NOTE = 600  # characters of an audit line; a rejected action quotes args of up to 4 KiB, and 100 lines are kept
KEEP_CHANGES = 100
"""Audit lines kept in the bed document; the whole history is the topic of actions, kept for 30 days."""


def seconds_ns(seconds: float) -> int:
    """Nanoseconds of a time in seconds."""
    return round(seconds * SECOND_NS)


@dataclass(frozen=True)
class Rules:
    """What a site sets for one bed.

    Attributes
    ----------
    site_limits : Limits
        The limits that hold where nobody has changed them at the bed.
    patient_pattern : str
        Regular expression that a whole pseudonym matches.
    strip_key : callable
        Redis key of the strip of an alert's id.
    reminder_s, escalate_s : float
        See `REMINDER_S`, `ESCALATE_AFTER_S`.
    """

    site_limits: Limits = field(default_factory=Limits)
    patient_pattern: str = PATIENT_PATTERN
    strip_key: Callable[[str], str] = lambda alert: f"ecg:{{main}}:strip:{alert}"
    reminder_s: float = REMINDER_S
    escalate_s: float = ESCALATE_AFTER_S

    def checked_limits(self, changes: Mapping[str, Mapping[str, Any] | None]) -> Limits:
        """The site's limits with a bed's changes; ValueError names what is out of bounds, crosses or may not be off."""
        return self.site_limits.with_changes(changes)

    def switched_off(self, code: str, at_the_bed: Mapping[str, Mapping[str, Any]]) -> bool:
        """True when the alarm is not to be raised; never for a lethal alarm, whatever a document holds."""
        if CODES[code].lethal or code not in self.site_limits.table:
            return False
        on = at_the_bed.get(code, {}).get("on", self.site_limits.is_on(code))
        return on is False


DEFAULT_RULES = Rules()
