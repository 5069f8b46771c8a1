"""Confirmation over time: a condition is confirmed once it has been present for long enough; short lapses are allowed.

In, once an update: present, absent, or None where the condition cannot be evaluated. Out: the onset once confirmed.
Time in which it cannot be evaluated counts as neither.
"""

from __future__ import annotations

from models.arrhythmia.episodes import END_AFTER_S


class Confirmation:
    """Time for which one condition of one bed has been present.

    Parameters
    ----------
    fs_hz : float
        Samples a second of the stream.
    lapse_s : float
        After this time of absence confirmation starts again, s.
    """

    def __init__(self, fs_hz: float, lapse_s: float = END_AFTER_S) -> None:
        self._fs = fs_hz
        self._lapse = round(lapse_s * fs_hz)
        self._onset: int | None = None
        self._present = 0
        self._absent = 0
        self._now: int | None = None

    def update(
        self, present: bool | None, now: int, confirm_s: float, onset: int | None = None, credited: bool = True
    ) -> int | None:
        """Onset of the condition where it is present now and has been for ``confirm_s``, else None.

        Parameters
        ----------
        present : bool or None
            None: it cannot be evaluated.
        now : int
            Sample up to which the signal is known.
        confirm_s : float
            Time for which it must be present, s.
        onset : int, optional
            Sample where it began, if that was before this update; used when it starts.
        credited : bool
            The time since ``onset`` counts. False where the criterion itself covers that time and must hold for longer.
        """
        passed = 0 if self._now is None else max(0, now - self._now)
        self._now = now
        if present is None:
            return None
        if not present:
            self._absent += passed
            if self._absent >= self._lapse:
                self._onset, self._present = None, 0
            return None
        if self._onset is None:
            self._onset = now if onset is None else onset
            self._present = now - self._onset if credited else 0
        else:
            self._present += passed
        self._absent = 0
        return self._onset if self._present >= confirm_s * self._fs else None
