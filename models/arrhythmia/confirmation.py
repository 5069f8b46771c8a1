"""Confirmation over time: a condition counts once it has been present for long enough, and short lapses do not undo it.

In, once a hop: present, absent, or None where the signal cannot tell. Out: the onset once confirmed. Time in which the
signal cannot tell counts for neither side.
"""

from __future__ import annotations

from models.arrhythmia.episodes import END_AFTER_S


class Confirmation:
    """One condition's time.

    Parameters
    ----------
    fs_hz : float
        Samples a second of the stream.
    lapse_s : float
        Absent for this long, it starts anew.
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
        """One hop: the onset where the condition is present now and has been for ``confirm_s``, else None.

        Parameters
        ----------
        present : bool or None
            None: the signal cannot tell.
        now : int
            Sample up to which signal has been seen.
        confirm_s : float
            How long it must last.
        onset : int, optional
            Where it began, if that was before this hop; used when it starts.
        credited : bool
            The time since ``onset`` counts already; False where one look over that time says so and must last itself.
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
