"""Signal quality over time: which leads may be cited over a span.

In: a segment of ECG, [leads, samples] in mV. Out: `SpanQuality`, which tells for each lead and span whether the signal
there is low in quality. `models.signal.quality` judges a lead over its whole segment; here each cell of `CELL_S` is
judged, because an artefact of a second spoils a wave and leaves a segment of ten seconds usable. A cell is low where

* a sample is missing or sits on a rail (equal samples at the lead's extreme),
* the 15-40 Hz activity of the quieter blocks round it is that of a noisy lead (`NOISE_HALF`),
* the baseline moves as under a moving electrode, or the signal is far larger than in the rest of the segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from models.ecg import Ecg, Millivolts
from models.signal.conditioning import BASELINE_REACH_S, fill_gaps, without_baseline
from models.signal.quality import NOISE_HALF, Rails, quiet_band
from models.signal.quantiles import median, quantile
from models.signal.windows import windows

CELL_S = 0.1  # a QRS complex is about as long
NOISE_AROUND_S = 1.0  # the quieter blocks of this time are those between two or three QRS complexes
MOTION_S = 1.0  # the baseline is compared with itself over this time
MOTION_MV = 1.2  # of baseline within `MOTION_S`: above all but 1 in 1000 cells of LUDB
LARGE_FACTOR = 3.0  # of the typical largest deflection of a second; ventricular beats are up to twice as large
LARGE_MV = 2.0  # and at least this
SMALLEST_MV = 0.05  # QRS amplitude that the noise of a lead is compared with, at least
SETTLED_S = 1.0  # the filter of the noise forgets within it: what is left is below the precision of a number
AROUND_S = 0.1  # of the span on either side, whose signal the measurement uses (PR segment, end of T)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some leads from sample ``start`` of the segment on, [rows, samples]."""

    mv: Millivolts
    start: int

    def of(self, start: int, end: int) -> Millivolts:
        return self.mv[:, start - self.start : end - self.start]


class SpanQuality:
    """Quality of each lead of a segment over spans of it.

    Parameters
    ----------
    ecg : Ecg
        The segment.
    """

    def __init__(self, ecg: Ecg) -> None:
        self._ecg = ecg
        self._rows = {lead: k for k, lead in enumerate(ecg.leads)}
        self._cell = max(1, round(CELL_S * ecg.fs_hz))
        self._cells = -(-ecg.n_samples // self._cell)

    @cached_property
    def low(self) -> NDArray[np.bool_]:
        """Cells of low quality, [leads, cells]."""
        return self._low(list(range(len(self._ecg.leads))), 0, self._cells)

    def usable(self, lead: str, start: int, end: int) -> bool:
        """Whether a lead is of sufficient quality from sample ``start`` to ``end``, and just beside."""
        return lead in self._rows and not bool(self.low[self._rows[lead], self._cells_of(start, end)].any())

    def leads(self, among: Sequence[str], start: int, end: int) -> tuple[str, ...]:
        """Those of the leads that are usable over the span."""
        return tuple(lead for lead in among if self.usable(lead, start, end))

    def leads_of_one_span(self, among: Sequence[str], start: int, end: int) -> tuple[str, ...]:
        """As `leads`, at a tenth of the cost where only one span or two are asked for: nothing else is judged."""
        known = [lead for lead in among if lead in self._rows]
        first, stop, _ = self._cells_of(start, end).indices(self._cells)
        low = self._low([self._rows[lead] for lead in known], first, max(first, stop))
        return tuple(lead for lead, cells in zip(known, low, strict=True) if not cells.any())

    def at_far_rail(self, among: Sequence[str], start: int, stop: int, beyond_mv: float) -> bool:
        """Whether one of the leads is on a rail beyond ``beyond_mv`` from its median, from ``start`` to ``stop``."""
        rows = [self._rows[lead] for lead in among]
        return bool(self._rails.samples(rows, start, stop, beyond_mv=beyond_mv).any())

    def _cells_of(self, start: int, end: int) -> slice:
        around = round(AROUND_S * self._ecg.fs_hz)
        first = max(0, start - around) // self._cell
        last = min(self._ecg.n_samples - 1, end + around) // self._cell
        return slice(first, last + 1)

    @cached_property
    def _gaps(self) -> tuple[Millivolts, NDArray[np.bool_]]:
        return fill_gaps(self._ecg.mv)

    @cached_property
    def _rails(self) -> Rails:
        return Rails(self._gaps[0], self._ecg.fs_hz)

    @cached_property
    def _without_baseline(self) -> Millivolts:
        return without_baseline(self._gaps[0], self._ecg.fs_hz)

    def _low(self, rows: list[int], first: int, stop: int) -> NDArray[np.bool_]:
        """Cells ``first`` to ``stop`` of low quality, [rows, cells].

        What needs the whole segment is computed for the rows alone that nothing cheaper decides.
        """
        start, end = first * self._cell, min(self._ecg.n_samples, stop * self._cell)
        if end <= start or not rows:
            return np.zeros((len(rows), stop - first), bool)
        _, missing = self._gaps
        x = self._near(rows, start, end)
        low = self._per_cell(missing[rows, start:end] | self._rails.samples(rows, start, end))
        deflection = self._per_cell_max(np.abs(x.of(start, end)))
        for k in np.flatnonzero((deflection > LARGE_MV).any(axis=1)).tolist():
            whole = self._per_cell_max(np.abs(self._without_baseline[rows[k] : rows[k] + 1]))
            typical = _typical(whole, round(1.0 / CELL_S))
            low[k] |= deflection[k] > np.maximum(LARGE_FACTOR * typical, LARGE_MV)
        low |= self._per_cell_max(self._moved(x, rows, start, end)) > MOTION_MV
        low |= self._noisy(x, rows, first, stop)
        return low

    def _near(self, rows: list[int], start: int, end: int) -> _Part:
        """The rows without baseline about a span, as far as they are used: with what the filters need beside it."""
        fs = self._ecg.fs_hz
        before, after = round((NOISE_AROUND_S + SETTLED_S) * fs) + self._cell, round(NOISE_AROUND_S * fs) + self._cell
        lo, hi = max(0, start - before), min(self._ecg.n_samples, end + after)
        if 2 * (hi - lo) > self._ecg.n_samples:
            return _Part(self._without_baseline[rows], 0)
        reach = round(BASELINE_REACH_S * fs)
        part = self._gaps[0][rows, max(0, lo - reach) : hi + reach]
        return _Part(without_baseline(part, fs), max(0, lo - reach))

    def _moved(self, x: _Part, rows: list[int], start: int, end: int) -> Millivolts:
        """How far the baseline moves within `MOTION_S` about each sample of a span, mV [rows, samples]."""
        width = max(1, round(MOTION_S * self._ecg.fs_hz))
        lo, hi = max(0, start - width), min(self._ecg.n_samples, end + width)
        slow = self._gaps[0][rows, lo:hi] - x.of(lo, hi)
        moved = np.zeros((len(rows), end - start), np.float32)
        moving = np.flatnonzero(slow.max(axis=1) - slow.min(axis=1) > MOTION_MV)
        if len(moving):
            extent = maximum_filter1d(slow[moving], width, axis=1) - minimum_filter1d(slow[moving], width, axis=1)
            moved[moving] = extent[:, start - lo : end - lo]
        return moved

    def _noisy(self, x: _Part, rows: list[int], first: int, stop: int) -> NDArray[np.bool_]:
        """Cells round which the quieter blocks are as active as in a noisy lead, [rows, cells]."""
        around, whole = round(NOISE_AROUND_S / CELL_S), self._ecg.n_samples // self._cell
        band = quiet_band(self._ecg.fs_hz)
        noisy = np.zeros((len(rows), stop - first), bool)
        if band is None or whole < around // 2:
            return noisy
        cells = np.minimum(np.arange(first, stop), whole - 1)
        lo, hi = max(0, int(cells[0]) - around), min(whole, int(cells[-1]) + around + 1)
        settled = max(0, lo * self._cell - round(SETTLED_S * self._ecg.fs_hz))
        fast = signal.sosfilt(band, x.of(settled, hi * self._cell), axis=1)
        power = np.square(fast[:, lo * self._cell - settled :]).reshape(len(rows), hi - lo, self._cell).mean(axis=2)
        beside = (around // 2, around - 1 - around // 2)
        places = np.pad(np.arange(whole), beside, mode="reflect" if whole > around else "edge")
        quiet = np.sqrt(quantile(power[:, windows(places, around)[cells] - lo], 0.4))
        most = 2.0 * quiet.max(axis=1) / NOISE_HALF
        for k in np.flatnonzero(most > SMALLEST_MV).tolist():
            squares = np.square(self._without_baseline[rows[k]])
            if np.count_nonzero(squares > (1.001 * most[k]) ** 2) > 0.03 * len(squares):
                continue  # the quantile below is certainly larger
            size = np.sqrt(quantile(squares, 0.98))  # about the QRS amplitude, deaf to single spikes
            noisy[k] = 2.0 * quiet[k] > NOISE_HALF * np.maximum(size, SMALLEST_MV)
        return noisy

    def _per_cell(self, of_samples: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray(self._cut(of_samples, False).any(axis=2))

    def _per_cell_max(self, of_samples: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._cut(of_samples, 0.0).max(axis=2)
        return found

    def _cut(self, of_samples: NDArray[np.generic], fill: float) -> NDArray[np.generic]:
        """[leads, samples] from the begin of a cell on, [leads, cells, samples]."""
        rest = -of_samples.shape[1] % self._cell
        padded = np.pad(of_samples, ((0, 0), (0, rest)), constant_values=fill) if rest else of_samples
        return padded.reshape(len(of_samples), -1, self._cell)


def _typical(deflection: NDArray[np.float32], second: int) -> NDArray[np.float32]:
    """Median over the seconds of the largest deflection in each, [leads]."""
    seconds = max(1, deflection.shape[1] // second)
    whole = deflection[:, : seconds * second]
    typical: NDArray[np.float32] = median(whole.reshape(len(whole), seconds, -1).max(axis=2))
    return typical
