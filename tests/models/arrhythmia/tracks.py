"""Beat tracks for the criteria's tests: beats written as RRs and kinds, at 250 samples a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.beats.series import BeatTrack

FS = 250.0


def track(
    rr_s: Sequence[float],
    kinds: str = "",
    after_s: float = 0.3,
    first_s: float = 1.0,
    qrs_ms: float = 90.0,
    unusable: Sequence[tuple[float, float]] = (),
    leads: tuple[str, ...] = ("II", "V5"),
    correlation: Sequence[float] = (),
) -> BeatTrack:
    """Beats with these RRs (seconds), the first at ``first_s``, known until ``after_s`` after the last one.

    ``kinds`` is one letter a beat; the missing ones are N. ``correlation`` is each beat's morphology
    correlation with the dominant-beat template, NaN where it is left out.
    """
    at = np.round((first_s + np.concatenate([[0.0], np.cumsum(rr_s)])) * FS).astype(np.int64)
    letters = list(kinds.ljust(len(at), "N"))
    widths = np.where(np.array(letters) == "V", 150.0, qrs_ms)
    spans = [(round(a * FS), round(b * FS)) for a, b in unusable]
    return BeatTrack(
        fs_hz=FS,
        now=int(at[-1] + round(after_s * FS)),
        r=at,
        kinds=letters,
        qrs_ms=widths,
        confidence=np.ones(len(at)),
        correlation=np.array(correlation, float) if correlation else np.full(len(at), np.nan),
        leads=leads,
        unusable=spans,
    )
