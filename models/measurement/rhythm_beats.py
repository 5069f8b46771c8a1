"""The beats of a segment that its rate and rhythm may be named from, and the classes that waves are cited from.

In: a segment, its `Measurement` and its `SpanQuality`. Out: `RhythmBeats`: the longest run of consecutive beats
in which a usable lead shows the signal from each beat to the next, without beats that an edge of the segment may have
cut or that lie in motion artefact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.ecg import Ecg
from models.measurement.delineation import MeasuredBeat
from models.measurement.distorted_beats import distorted_beats
from models.measurement.measure import Measurement
from models.normal_limits import EDGE_S, NAMED_RHYTHM_BEATS, PAUSE_S
from models.signal.quality import FLAT
from models.signal.span_quality import SpanQuality

SILENT_FACTOR = 1.5  # of the longest RR: an edge this far from the outer beat is a pause that the rate leaves out
CONDUCTED = ("N", "S", "?")  # kinds of beats that come from the atria, as far as is known


@dataclass(frozen=True, eq=False, kw_only=True)
class RhythmBeats:
    """A run of beats on signal of sufficient quality.

    Attributes
    ----------
    beats : tuple of MeasuredBeat
        In order; none where no lead shows a beat on usable signal.
    leads : tuple of str
        Leads that are usable from one beat to the next most often, in order.
    low : int
        Number of beats that no lead shows on signal of sufficient quality.
    silent_s : float
        The longest time from an outer beat of the segment to the edge beside it, where signal is usable; seconds.
    fs_hz : float
        Samples a second.
    """

    beats: tuple[MeasuredBeat, ...]
    leads: tuple[str, ...]
    low: int
    silent_s: float
    fs_hz: float

    @property
    def r(self) -> NDArray[np.int64]:
        """R peaks, samples, [beats]."""
        return np.array([m.beat.sample for m in self.beats], np.int64)

    @property
    def rr_s(self) -> NDArray[np.float64]:
        """Seconds from each beat to the next, [beats - 1]."""
        return np.diff(self.r) / self.fs_hz

    @property
    def has_rate(self) -> bool:
        """Whether the beats have a rate: three at least, and no pause at an edge that it would leave out."""
        if len(self.beats) < NAMED_RHYTHM_BEATS:
            return False
        return not (self.silent_s >= PAUSE_S and self.silent_s > SILENT_FACTOR * float(self.rr_s.max()))

    @property
    def conducted(self) -> tuple[MeasuredBeat, ...]:
        """The beats that are neither ventricular nor paced."""
        return tuple(m for m in self.beats if m.beat.kind in CONDUCTED)

    @property
    def named(self) -> tuple[MeasuredBeat, ...]:
        """The beats of the class that the rhythm is named by: normal, else conducted, else ventricular or paced."""
        conducted = self.conducted
        if 2 * len(conducted) < len(self.beats):
            kinds = [m.beat.kind for m in self.beats]
            most = max(("V", "P"), key=kinds.count)
            return tuple(m for m in self.beats if m.beat.kind == most)
        normal = tuple(m for m in conducted if m.beat.kind == "N")
        return normal if 2 * len(normal) >= len(conducted) else conducted


def rhythm_beats(ecg: Ecg, measurement: Measurement, quality: SpanQuality, usable: Sequence[str]) -> RhythmBeats:
    """The beats that the rhythm of a segment may be named from.

    Parameters
    ----------
    ecg : Ecg
        The segment; positions are its samples.
    measurement : Measurement
        Of that segment.
    quality : SpanQuality
        Of that segment.
    usable : sequence of str
        Leads that are usable over the segment as a whole.
    """
    edge = math.ceil(EDGE_S * ecg.fs_hz)
    deflected = [lead for lead in usable if measurement.quality[lead].state != FLAT]  # a flat lead shows no beat
    beats = [m for m in measurement.beats if edge <= m.beat.sample < ecg.n_samples - edge]
    moved = distorted_beats(ecg, beats, CONDUCTED)
    still = [{x for x in deflected if not moved[ecg.leads.index(x), k]} for k in range(len(beats))]
    leads_at = [_among(still[k], quality.leads(deflected, r, r)) for k, r in enumerate(m.beat.sample for m in beats)]
    between = [
        _among(still[k] & still[k + 1], quality.leads(deflected, a.beat.sample, b.beat.sample))
        for k, (a, b) in enumerate(pairwise(beats))
    ]
    first = last = best = 0
    for k in range(len(beats)):
        if not leads_at[k]:
            first = k + 1
            continue
        if k > first and not between[k - 1]:
            first = k
        if k + 1 - first > best - last:
            last, best = first, k + 1
    run = tuple(beats[last:best])
    counts = {lead: sum(lead in leads for leads in between[last : best - 1]) for lead in deflected}
    most = max(counts.values(), default=0)
    leads = tuple(lead for lead, n in counts.items() if n == most) if len(run) > 1 else (leads_at[last] if run else ())
    return RhythmBeats(
        beats=run,
        leads=leads,
        low=sum(not leads for leads in leads_at),
        silent_s=_silent_s(ecg, measurement, quality, usable),
        fs_hz=ecg.fs_hz,
    )


def _among(good: set[str], leads: Sequence[str]) -> tuple[str, ...]:
    return tuple(lead for lead in leads if lead in good)


def _silent_s(ecg: Ecg, measurement: Measurement, quality: SpanQuality, usable: Sequence[str]) -> float:
    if not measurement.beats:
        return 0.0
    spans = ((0, measurement.r_peaks[0]), (measurement.r_peaks[-1], ecg.n_samples))
    return max((b - a) / ecg.fs_hz if quality.leads(usable, a, b) else 0.0 for a, b in spans)
