"""The baseline of a bed: medians over the beats of its first five usable minutes.

In: measured beats (`WaveBeat`), one after the other. Out: `RhythmBaseline`. Only the values that the medians need are
kept, as arrays: five minutes of beats in 60 kB.
"""

from __future__ import annotations

import math
import statistics
from array import array
from collections.abc import Iterable

from models.arrhythmia.criteria.waves import MIN_BEATS, RhythmBaseline, WaveBeat

QRS, PR = "QRS", "PR"  # columns beside those of the leads


class BaselineBeats:
    """Values of the beats so far, one column a measure; NaN where a beat lacks it."""

    def __init__(self) -> None:
        self._conducted = array("b")
        self._columns: dict[str, array[float]] = {}

    def add(self, beat: WaveBeat) -> None:
        """Keep the values of a beat."""
        for name, value in ((QRS, beat.qrs_ms), (PR, beat.pr_ms), *beat.st_mv.items()):
            column = self._columns.setdefault(name, array("d"))
            column.extend([math.nan] * (len(self._conducted) - len(column)))
            column.append(math.nan if value is None else value)
        self._conducted.append(beat.conducted)

    def baseline(self) -> RhythmBaseline:
        """Medians over the conducted beats, or over all where none is conducted."""
        st = {lead: self._median(lead, digits=4) for lead in sorted(self._columns.keys() - {QRS, PR})}
        return RhythmBaseline(
            st_mv={lead: mv for lead, mv in st.items() if mv is not None},
            qrs_ms=self._median(QRS, digits=1),
            pr_ms=self._median(PR, digits=1),
        )

    def _median(self, name: str, digits: int) -> float | None:
        """Median of the known values; None with fewer than `MIN_BEATS`."""
        column = self._columns.get(name, array("d"))
        none = not any(self._conducted)
        known = [x for x, ok in zip(column, self._conducted, strict=False) if (ok or none) and not math.isnan(x)]
        return round(statistics.median(known), digits) if len(known) >= MIN_BEATS else None


def baseline_of(beats: Iterable[WaveBeat]) -> RhythmBaseline:
    """The baseline of some beats."""
    kept = BaselineBeats()
    for beat in beats:
        kept.add(beat)
    return kept.baseline()
