"""`Episode`: an interval in which an alarm condition of one bed holds.

A condition ends by evidence only: absent for 5 s on usable signal. Without usable signal it is held. Back within those
5 s it is the same episode. An instant (`AlarmCode.instant`) is an episode that stays on for 20 s and never merges.
Positions are absolute samples of the bed's stream at its own rate, counted from the first sample.
Times: ``docs/alarms.md#times``.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.evidence import Evidence

END_AFTER_S = 5.0  # absent for 5 s on usable signal (docs/alarms.md#times)
INSTANT_STAYS_S = 20.0  # codes of an instant stay on for 20 s (docs/alarms.md#times)
INSTANT_LOOKBACK_S = 20.0  # criteria look for instants that ended within this time; earlier ones are reported already


@dataclass(frozen=True, slots=True)
class Episode:
    """One interval of one alarm condition.

    Attributes
    ----------
    code : str
        One of `models.arrhythmia.codes.CODES`.
    onset : int
        Sample at which the condition began (last beat for asystole, first wave for VF, first beat of a run).
    detected : int
        Sample up to which the signal was known when it was detected.
    last_held : int
        Sample at which the condition last held.
    end : int or None
        Equal to ``last_held`` once the episode is over, None while it is on.
    held : bool
        On only because the signal is unusable: neither present nor absent.
    evidence : tuple of Evidence
        Measurements that show it, absolute samples of the stream.
    leads : tuple of str
        Leads on which it was detected.
    """

    code: str
    onset: int
    detected: int
    last_held: int
    end: int | None = None
    held: bool = False
    evidence: tuple[Evidence, ...] = ()
    leads: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        """Code and onset, which identify the episode."""
        return self.code, self.onset
