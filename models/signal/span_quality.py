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
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from models.ecg import Ecg
from models.signal.conditioning import fill_gaps, without_baseline
from models.signal.quality import NOISE_HALF, on_rail, quiet_band
from models.signal.quantiles import median, quantile

CELL_S = 0.1  # a QRS complex is about as long
NOISE_AROUND_S = 1.0  # the quieter blocks of this time are those between two or three QRS complexes
MOTION_S = 1.0  # the baseline is compared with itself over this time
MOTION_MV = 1.2  # of baseline within `MOTION_S`: above all but 1 in 1000 cells of LUDB
LARGE_FACTOR = 3.0  # of the typical largest deflection of a second; ventricular beats are up to twice as large
LARGE_MV = 2.0  # and at least this
AROUND_S = 0.1  # of the span on either side, whose signal the measurement uses (PR segment, end of T)


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

    @cached_property
    def low(self) -> NDArray[np.bool_]:
        """Cells of low quality, [leads, cells]."""
        ecg, fs = self._ecg, self._ecg.fs_hz
        cells = -(-ecg.n_samples // self._cell)
        if not cells:
            return np.zeros((len(ecg.leads), 0), bool)
        filled, missing = fill_gaps(ecg.mv)
        x = without_baseline(filled, fs)
        low = self._per_cell(missing | on_rail(filled, fs))
        deflection = self._per_cell_max(np.abs(x))
        typical = _typical(deflection, round(1.0 / CELL_S))
        low |= deflection > np.maximum(LARGE_FACTOR * typical, LARGE_MV)[:, None]
        width = max(1, round(MOTION_S * fs))
        slow = filled - x
        moved = maximum_filter1d(slow, width, axis=1) - minimum_filter1d(slow, width, axis=1)
        low |= self._per_cell_max(moved) > MOTION_MV
        low |= self._noisy(x, cells)
        return low

    def usable(self, lead: str, start: int, end: int) -> bool:
        """Whether a lead is of sufficient quality from sample ``start`` to ``end``, and just beside."""
        around = round(AROUND_S * self._ecg.fs_hz)
        first = max(0, start - around) // self._cell
        last = min(self._ecg.n_samples - 1, end + around) // self._cell
        return lead in self._rows and not bool(self.low[self._rows[lead], first : last + 1].any())

    def leads(self, among: Sequence[str], start: int, end: int) -> tuple[str, ...]:
        """Those of the leads that are usable over the span."""
        return tuple(lead for lead in among if self.usable(lead, start, end))

    def _noisy(self, x: NDArray[np.float32], cells: int) -> NDArray[np.bool_]:
        """Cells round which the quieter blocks are as active as in a noisy lead, [leads, cells]."""
        around, whole = round(NOISE_AROUND_S / CELL_S), x.shape[1] // self._cell
        band = quiet_band(self._ecg.fs_hz)
        if band is None or whole < around // 2:
            return np.zeros((len(x), cells), bool)
        fast = signal.sosfilt(band, x, axis=1)[:, : whole * self._cell]
        power = np.square(fast).reshape(len(x), whole, self._cell).mean(axis=2)
        padded = np.pad(
            power, ((0, 0), (around // 2, around - 1 - around // 2)), mode="reflect" if whole > around else "edge"
        )
        quiet = np.sqrt(quantile(np.lib.stride_tricks.sliding_window_view(padded, around, axis=1), 0.4))
        size = np.sqrt(quantile(np.square(x), 0.98))  # about the QRS amplitude, deaf to single spikes
        noisy = np.asarray(2.0 * quiet > NOISE_HALF * np.maximum(size, 0.05)[:, None])
        return np.pad(noisy, ((0, 0), (0, cells - whole)), mode="edge")

    def _per_cell(self, of_samples: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray(self._cut(of_samples, False).any(axis=2))

    def _per_cell_max(self, of_samples: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._cut(of_samples, 0.0).max(axis=2)
        return found

    def _cut(self, of_samples: NDArray[np.generic], fill: float) -> NDArray[np.generic]:
        rest = -of_samples.shape[1] % self._cell
        padded = np.pad(of_samples, ((0, 0), (0, rest)), constant_values=fill)
        return padded.reshape(len(of_samples), -1, self._cell)


def _typical(deflection: NDArray[np.float32], second: int) -> NDArray[np.float32]:
    """Median over the seconds of the largest deflection in each, [leads]."""
    seconds = max(1, deflection.shape[1] // second)
    whole = deflection[:, : seconds * second]
    typical: NDArray[np.float32] = median(whole.reshape(len(whole), seconds, -1).max(axis=2))
    return typical
