"""Episodes from findings: start, hold and end of each condition.

In, once an update: the conditions present now (`Finding`), and the codes that this signal cannot show. Out: every
episode that is on, and those that ended in this update. Positions are absolute samples of the bed's stream.
An episode ends once its condition is absent for 5 s on usable signal; on unusable signal it is held. A condition that
returns within those 5 s continues the episode. An instant stays on for 20 s and never merges with the next.
Rules: ``docs/alarms.md#alert-life-cycle``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from models.arrhythmia.codes import CODES
from models.arrhythmia.episodes import END_AFTER_S, INSTANT_STAYS_S, Episode
from models.evidence import Evidence

INSTANT_REMEMBERED_S = 90.0  # an instant found again within this time is the same one; criteria look back less


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that a criterion found present.

    Attributes
    ----------
    code : str
        Alarm code.
    onset : int
        Sample at which the condition began.
    last_held : int
        Sample up to which it held.
    evidence : tuple of Evidence
        Measurements that show it, absolute samples.
    leads : tuple of str
        Leads on which it was found.
    held_from : int, optional
        Sample from which it holds since the last update, where the criterion knows it.
    """

    code: str
    onset: int
    last_held: int
    evidence: tuple[Evidence, ...] = ()
    leads: tuple[str, ...] = ()
    held_from: int | None = None


class EpisodeTracker:
    """The episodes of one bed.

    Parameters
    ----------
    fs_hz : float
        Samples a second of the stream.
    """

    def __init__(self, fs_hz: float) -> None:
        self._end_after = round(END_AFTER_S * fs_hz)
        self._instant_stays = round(INSTANT_STAYS_S * fs_hz)
        self._remembered = round(INSTANT_REMEMBERED_S * fs_hz)
        self._on: dict[tuple[str, int], Episode] = {}
        self._absent: dict[tuple[str, int], int] = {}  # usable samples since the condition last held
        self._instants: dict[tuple[str, int], int] = {}  # instants found, and when
        self._over: dict[str, int] = {}  # end of the last episode of a code
        self._now: int | None = None

    def is_on(self, code: str) -> bool:
        """An episode of this code is on."""
        return any(key[0] == code for key in self._on)

    def held_within(self, codes: Collection[str], now: int, samples: int) -> bool:
        """An episode of one of these codes is on, or ended at most ``samples`` before ``now``."""
        return any(self.is_on(code) or now - self._over.get(code, now - samples - 1) <= samples for code in codes)

    def ended_within(self, code: str, now: int, samples: int) -> bool:
        """No episode of this code is on, and the last one ended at most ``samples`` before ``now``."""
        return not self.is_on(code) and self.held_within((code,), now, samples)

    def onset(self, code: str) -> int | None:
        """Onset of the newest episode of this code that is on."""
        return max((key[1] for key in self._on if key[0] == code), default=None)

    def update(self, findings: Sequence[Finding], now: int, unusable: Collection[str] = ()) -> list[Episode]:
        """Take the findings of one update.

        Parameters
        ----------
        findings : sequence of Finding
            Conditions present.
        now : int
            Sample up to which the signal is known.
        unusable : collection of str
            Codes that the signal of this update cannot show.

        Returns
        -------
        list of Episode
            Those on, and those that ended in this update (``end`` set), by onset.
        """
        passed = 0 if self._now is None else max(0, now - self._now)
        self._now = now
        seen = {self._found(finding, now) for finding in findings if not self._has_lapsed(finding, passed, now)}
        over = [key for key in list(self._on) if self._is_over(key, key in seen, passed, now, unusable)]
        ended = [self._ended(key) for key in over]
        self._instants = {k: t for k, t in self._instants.items() if now - t < self._remembered}
        return sorted([*ended, *self._on.values()], key=lambda e: (e.onset, e.code))

    def end_all(self, codes: Collection[str]) -> list[Episode]:
        """End the episodes of ``codes`` at once: their alarm was switched off, or their criterion no longer applies."""
        return [self._ended(key) for key in list(self._on) if key[0] in codes]

    def skip(self, now: int) -> None:
        """Time without signal passed: it counts neither as present nor as absent."""
        self._now = now

    def _found(self, finding: Finding, now: int) -> tuple[str, int]:
        if CODES[finding.code].instant:
            key = (finding.code, finding.onset)
            if key in self._instants:
                if key in self._on:
                    self._on[key] = replace(self._on[key], last_held=max(self._on[key].last_held, finding.last_held))
                return key
            self._instants[key] = now
        else:
            over = self._over.get(finding.code, -1)
            if finding.last_held <= over:  # the criterion still finds what has ended
                return finding.code, -1
            finding = replace(finding, onset=max(finding.onset, over + 1))
            running = next((k for k in self._on if k[0] == finding.code), None)
            if running is not None:
                episode = self._on[running]
                self._on[running] = replace(episode, last_held=max(episode.last_held, finding.last_held), held=False)
                return running
            key = (finding.code, finding.onset)
        self._on[key] = Episode(
            finding.code, finding.onset, now, finding.last_held, evidence=finding.evidence, leads=finding.leads
        )
        return key

    def _has_lapsed(self, finding: Finding, passed: int, now: int) -> bool:
        """Whether the episode was over before its condition returned, both since the last update.

        The condition was then evaluated as one that holds on. The next update evaluates whether it begins anew.
        """
        episode = next((e for key, e in self._on.items() if key[0] == finding.code), None)
        if episode is None or finding.held_from is None or finding.held_from <= episode.last_held:
            return False
        return self._absent.get(episode.key, 0) + passed - (now - finding.held_from) >= self._end_after

    def _is_over(self, key: tuple[str, int], seen: bool, passed: int, now: int, unusable: Collection[str]) -> bool:
        episode = self._on[key]
        if CODES[episode.code].instant:
            return now - episode.detected >= self._instant_stays
        if seen:
            self._absent[key] = max(0, now - episode.last_held)
            return False
        held = episode.code in unusable
        if episode.held != held:
            self._on[key] = replace(episode, held=held)
        if not held:
            self._absent[key] = self._absent.get(key, 0) + passed
        return self._absent.get(key, 0) >= self._end_after

    def _ended(self, key: tuple[str, int]) -> Episode:
        episode = self._on.pop(key)
        self._absent.pop(key, None)
        self._over[key[0]] = episode.last_held
        return replace(episode, end=episode.last_held, held=False)
