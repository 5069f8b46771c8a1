"""Mains interference: measured in frequency and amplitude, then subtracted.

In: float32 [leads, samples], millivolts, NaN where there is no sample, and the sampling rate in Hz. Out: the same
array without the interference; the very same object where there is none, so that a clean signal is never altered.

Method: a sinusoid of 50 or 60 Hz is fitted by least squares in blocks of `BLOCK_S`, without the steep samples of QRS
complexes and pacing pulses. Its phase advances from block to block by the deviation of the mains from its nominal
frequency, and it does so steadily: an ECG or muscle noise has no steady phase there. Where the phase is steady and the
amplitude `MIN_MAINS_MV` or more, the mains and its harmonics are fitted again at the measured frequency, interpolated
between the blocks, and subtracted (Levkov 2005 reviews subtraction procedures). A subtracted sinusoid does not ring
after a QRS complex as a notch filter does.

The functions have no state, and their blocks are aligned with the newest sample: two workers that clean the same
window find the same signal.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

from models.ecg import Ecg, Millivolts
from models.signal.conditioning import fill_gaps
from models.signal.quantiles import median

NOMINAL_HZ = (50.0, 60.0)
MAX_DEVIATION_HZ = 0.6  # EN 50160 allows ±0.5 Hz for 99.5 % of the time in an interconnected network
MIN_MAINS_MV = 0.05  # smallest amplitude that is subtracted; the beat detector is robust to less
MIN_STEADINESS = 0.9  # of the phase from block to block: 1 for mains; see tests/models/signal/test_mains.py
STEADY_BLOCKS = 4  # in a row that must have the amplitude
BLOCK_S = 0.5
PIECE_S = 4.0  # frequency and amplitude are measured on this much signal,
OVERLAP_S = 1.0  # and longer signals are cut into pieces with this overlap
HARMONICS = 3
LOWEST_FOLDED_HZ = 40.0  # a harmonic folded below it at half the sampling rate would take QRS energy with it
SLOW_DEGREE = 3  # polynomial of each block: P and T waves and baseline are none of the interference
MAX_STEEPNESS = 5.0  # times the median steepness of a block, after a first fit: no part of the interference
REPEATS = 4  # of the fit without steep samples; the amplitude has converged to 1 % by then
GATE_MV = 0.03  # amplitude in the quieter half of a second's gate blocks from which the signal is analysed further
GATE_BLOCK_S = 0.1  # five periods of 50 Hz, six of 60 Hz
BURST_NEAR_S = 0.06  # the size of a burst is that of the signal this near,
BURST_SHARE = 0.35  # and a mean over one period, twice, leaves less than this of it: of its edges 0.3 at most
MIN_BURST_MV = 0.15  # a smaller deflection is no beat
GATE_HZ = 140.0  # smallest rate at which the gate looks at the signal


def without_mains(mv: Millivolts, fs_hz: float) -> Millivolts:
    """Subtract mains interference from each lead that has it.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Millivolts; NaN where there is no sample. Shorter than 1.5 s is returned as it is.
    fs_hz : float
        Sampling rate, Hz.

    Returns
    -------
    float32 [leads, samples]
        NaN where it was NaN. `mv` itself where no lead has interference.

    Examples
    --------
    >>> import numpy as np
    >>> hum = np.sin(2 * np.pi * 50.2 * np.arange(1000) / 250).astype(np.float32)[None]
    >>> bool(np.abs(without_mains(hum, 250.0)).max() < 0.01)
    True
    """
    if not may_have_mains(mv, fs_hz):
        return mv
    n, piece, overlap = mv.shape[1], round(PIECE_S * fs_hz), round(OVERLAP_S * fs_hz)
    out = mv
    stop = n
    while True:
        start = max(0, stop - piece) if stop - piece >= piece // 2 else 0
        interference = _interference(mv[:, start:stop], fs_hz)
        if interference is not None:
            out = mv.copy() if out is mv else out
            upper = stop if stop == n else stop - overlap // 2
            out[:, start:upper] = mv[:, start:upper] - interference[:, : upper - start]
        elif out is not mv:
            upper = stop if stop == n else stop - overlap // 2
            out[:, start:upper] = mv[:, start:upper]
        if start == 0:
            return out
        stop = start + overlap


def burst_samples(mv: Millivolts, fs_hz: float) -> NDArray[np.bool_]:
    """Samples at which the signal consists of mains interference, however briefly, [leads, samples].

    A moving mean over one period, twice, leaves less than `BURST_SHARE` of it, and more than half of a QRS complex.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Millivolts, without missing samples.
    fs_hz : float
        Sampling rate, Hz; below 100 there are none.
    """
    period, near = round(fs_hz / min(NOMINAL_HZ)), 2 * round(BURST_NEAR_S * fs_hz) + 1
    if fs_hz < 2.0 * min(NOMINAL_HZ):
        return np.zeros(mv.shape, bool)
    mean = uniform_filter1d(uniform_filter1d(mv, period, axis=1), period, axis=1)
    size, kept = (maximum_filter1d(x, near, axis=1) - minimum_filter1d(x, near, axis=1) for x in (mv, mean))
    return np.asarray((size >= MIN_BURST_MV) & (kept < BURST_SHARE * size))


def ecg_without_mains(ecg: Ecg) -> Ecg:
    """The ECG with each lead's mains interference subtracted; `ecg` itself where there is none."""
    mv = without_mains(ecg.mv, ecg.fs_hz)
    return ecg if mv is ecg.mv else replace(ecg, mv=mv)


def may_have_mains(mv: Millivolts, fs_hz: float) -> bool:
    """Whether the quieter half of some second has a component of 50 or 60 Hz; cheap, and True for muscle noise too.

    Parameters
    ----------
    mv : float32 [leads, samples]
        Millivolts; NaN where there is no sample.
    fs_hz : float
        Sampling rate, Hz.
    """
    step = max(1, int(fs_hz / GATE_HZ))
    rate = fs_hz / step
    projection = _gate_projection(rate)
    if projection is None or mv.shape[1] < 3 * BLOCK_S * fs_hz:
        return False
    size, parts = len(projection), max(1, round(1.0 / GATE_BLOCK_S))
    seconds = mv.shape[1] // step // (size * parts)
    if seconds == 0:
        return False
    x = mv[:, ::step][:, : seconds * parts * size].reshape(len(mv), seconds, parts, size)
    waves = x.reshape(-1, size) @ projection
    squares = np.square(waves).reshape(*x.shape[:3], -1)  # [leads, seconds, parts, cosine and sine of each frequency]
    power = squares[..., 0::2] + squares[..., 1::2]
    with np.errstate(invalid="ignore"):
        quieter = np.partition(power, parts // 2, axis=2)[:, :, parts // 2]
        return bool((quieter > GATE_MV**2).any())


@lru_cache(maxsize=64)
def _gate_projection(rate_hz: float) -> NDArray[np.float32] | None:
    """Samples of a gate block to cosine and sine at each nominal frequency, clear of a parabola; [samples, 2 x Hz]."""
    visible = [f for f in NOMINAL_HZ if _visible(f, rate_hz)]
    if not visible:
        return None
    size = round(GATE_BLOCK_S * rate_hz)
    at = (np.arange(size) - (size - 1) / 2) / rate_hz
    waves = [wave(2 * np.pi * f * at) for f in visible for wave in (np.cos, np.sin)]
    slow = np.vander(np.linspace(-1.0, 1.0, size), 3)
    inverse = np.linalg.pinv(np.concatenate([np.stack(waves, axis=1), slow], axis=1))
    return np.ascontiguousarray(inverse[: len(waves)].T, np.float32)


def _interference(mv: Millivolts, fs_hz: float) -> Millivolts | None:
    """The interference in a few seconds of signal, [leads, samples]; zero in leads without it, None without any."""
    filled, _ = fill_gaps(mv)
    step = max(1, int(fs_hz / GATE_HZ))
    coarse, rate = filled[:, (mv.shape[1] - 1) % step :: step], fs_hz / step  # ends with the newest sample
    best: tuple[float, float, NDArray[np.bool_]] | None = None
    for nominal in NOMINAL_HZ:
        if not _visible(nominal, rate):
            continue
        fit = _block_fit(coarse, rate, nominal, harmonics=1)
        if fit is None:
            return None
        coefficients = fit[0][:, :, 0]
        line_hz, rows = _steady(coefficients, nominal, round(BLOCK_S * rate) / rate)
        strength = float(np.abs(coefficients[rows]).sum())
        if rows.any() and (best is None or strength > best[0]):
            best = strength, line_hz, rows
    if best is None:
        return None
    _, line_hz, rows = best
    fitted = _fitted(filled[rows], fs_hz, line_hz)
    if fitted is None:
        return None
    out = np.zeros(filled.shape, np.float32)
    out[rows] = fitted
    return out


def _steady(coefficients: NDArray[np.complex128], nominal_hz: float, block_s: float) -> tuple[float, NDArray[np.bool_]]:
    """Frequency of the mains, Hz, and the leads that have it, from a fit at the nominal frequency [leads, blocks]."""
    amplitude = np.abs(coefficients)
    large = amplitude >= MIN_MAINS_MV
    run = np.lib.stride_tricks.sliding_window_view(large, STEADY_BLOCKS, axis=1)
    enough = run.all(axis=2)  # [leads, places]
    turns = coefficients[:, 1:] * np.conj(coefficients[:, :-1])
    turn = np.lib.stride_tricks.sliding_window_view(turns, STEADY_BLOCKS - 1, axis=1)
    weight = np.lib.stride_tricks.sliding_window_view(amplitude[:, 1:] * amplitude[:, :-1], STEADY_BLOCKS - 1, axis=1)
    steadiness = np.abs(turn.sum(axis=2)) / np.maximum(weight.sum(axis=2), 1e-12)
    places = enough & (steadiness >= MIN_STEADINESS)
    rows = places.any(axis=1)
    total = (turn.sum(axis=2) * places).sum()
    deviation = float(np.angle(total)) / (2 * np.pi * block_s) if rows.any() else 0.0
    if abs(deviation) > MAX_DEVIATION_HZ:
        rows = np.zeros(len(rows), bool)
    return nominal_hz + deviation, rows


def _block_fit(
    x: Millivolts, fs_hz: float, line_hz: float, *, harmonics: int
) -> tuple[NDArray[np.complex128], NDArray[np.float64]] | None:
    """Complex amplitude of the mains and its visible harmonics in each block, [leads, blocks, harmonics].

    Phases are those at the first sample of `x`. Second result: the blocks' centres, samples. Steep samples are replaced
    by the fit before it is repeated, so that they take no part in it.
    """
    n, size = x.shape[1], round(BLOCK_S * fs_hz)
    count = n // size
    if count < STEADY_BLOCKS:
        return None
    omega = _omega(fs_hz, line_hz, harmonics)
    local = (np.arange(size) - (size - 1) / 2) / fs_hz
    slow = np.vander(np.linspace(-1.0, 1.0, size), 1 + SLOW_DEGREE, increasing=True)
    design = np.concatenate([np.cos(local[:, None] * omega), np.sin(local[:, None] * omega), slow], axis=1)
    inverse = np.linalg.pinv(design).astype(np.float32).T
    forward = design.astype(np.float32).T
    blocks = x[:, n - count * size :].reshape(-1, size)  # aligned with the newest sample
    blocks = blocks - blocks.mean(axis=1, keepdims=True)  # single precision has room for electrode offsets
    fit = blocks @ inverse @ forward
    steep = np.abs(np.diff(blocks - fit, axis=1, append=np.float32(0.0)))
    steep[:, -1] = steep[:, -2]
    heavy = steep > MAX_STEEPNESS * median(steep)[:, None] + 1e-6
    coefficients = blocks @ inverse
    for _ in range(REPEATS):
        coefficients = np.where(heavy, fit, blocks) @ inverse
        fit = coefficients @ forward
    coefficients = coefficients.reshape(len(x), count, -1)
    centres = n - count * size + size * np.arange(count) + (size - 1) / 2
    pairs = coefficients[..., : len(omega)] - 1j * coefficients[..., len(omega) : 2 * len(omega)]
    return pairs * np.exp(-1j * omega * (centres / fs_hz)[:, None]), centres


def _fitted(x: Millivolts, fs_hz: float, line_hz: float) -> Millivolts | None:
    """The interference in gap-free leads [leads, samples], interpolated between the centres of the blocks.

    None where the signal is a few samples too short for its blocks, which the coarser rate may still have room for.
    """
    fit = _block_fit(x, fs_hz, line_hz, harmonics=HARMONICS)
    if fit is None:
        return None
    coefficients, centres = fit
    at = np.arange(x.shape[1])
    k = np.clip(np.searchsorted(centres, at) - 1, 0, len(centres) - 2)
    share = np.clip((at - centres[k]) / (centres[k + 1] - centres[k]), 0.0, 1.0)
    out = np.zeros(x.shape, np.float32)
    for h, w in enumerate(_omega(fs_hz, line_hz, HARMONICS)):
        carrier = np.exp(1j * w * at / fs_hz)
        weights = np.zeros((2, len(centres), len(at)), np.float32)  # of the real and imaginary part of each block
        for part, wave in enumerate((carrier.real, -carrier.imag)):
            weights[part, k, at] = (1.0 - share) * wave
            weights[part, k + 1, at] = share * wave
        c = coefficients[:, :, h]
        out += c.real.astype(np.float32) @ weights[0] + c.imag.astype(np.float32) @ weights[1]
    return out


def _omega(fs_hz: float, line_hz: float, harmonics: int) -> NDArray[np.float64]:
    """Angular frequencies of the mains and those of its harmonics that the sampling rate shows."""
    visible = [h for h in range(1, harmonics + 1) if h == 1 or _visible(h * line_hz, fs_hz)]
    return 2 * np.pi * line_hz * np.array(visible, np.float64)


def _visible(hz: float, fs_hz: float) -> bool:
    """Whether a frequency, folded at half the sampling rate where it lies above, stays clear of the QRS band."""
    folded = abs(hz - round(hz / fs_hz) * fs_hz)
    return LOWEST_FOLDED_HZ <= folded <= 0.5 * fs_hz - 1.0
