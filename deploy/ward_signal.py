"""Simulated 12-lead ECG of the demo ward: beats from neurokit2's ECGSYN, placed at the scripted R peaks.

ECGSYN (McSharry et al. 2003, IEEE TBME 50:289) makes leads I, II and V1 to V6 of a beat with waves placed in
milliseconds; the other limb leads are derived from I and II (neurokit2's own twelve leads do not obey Einthoven's law,
and have one scale). Its solver leaves steps in the baseline, so that a bed's beat is the median of eight.
In: `Waves` and R samples; out: ``float32 [12, samples]`` mV at 500 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.leads import STANDARD_12, derive_limb_leads

FS_HZ = 500.0
BEFORE_R, AFTER_R = 180, 330  # samples of a beat: 0.36 s before R, 0.66 s after it
_TAPER = 30  # samples at either end that fade to the baseline
_BEATS = 8  # the bed's beat is their median
_ATTEMPTS = 8
_MIN_CORRELATION = 0.98  # with the requested waves; a beat on a step of the baseline has far less
_TRANSIENT_S = 1.5  # ECGSYN starts off its orbit and off its baseline
_STRONG = 100.0  # far above the model's own breathing baseline of 0.005; each lead is scaled to its mV afterwards
_QRS_HALF_MS = 44.0  # QRS onset before R and offset after it, for the Q, R and S placed below
_P_SD_MS = 20.0
_P_HALF_MS = 52.0  # onset of a Gaussian P of that width, as the delineation network measures it
_T_END_SD = 2.3  # from the peak of a Gaussian T to its measured offset, in its standard deviations

# Peak of each wave (P, Q, R, S, T) in mV; a healthy adult's progression. The other limb leads follow from I and II.
_PEAKS_MV = {
    "I": (0.08, -0.05, 0.75, -0.10, 0.22),
    "II": (0.15, -0.08, 1.15, -0.20, 0.32),
    "V1": (0.06, 0.0, 0.22, -1.05, -0.08),
    "V2": (0.07, 0.0, 0.45, -1.40, 0.35),
    "V3": (0.08, 0.0, 0.80, -0.90, 0.45),
    "V4": (0.09, -0.05, 1.35, -0.55, 0.42),
    "V5": (0.08, -0.08, 1.25, -0.25, 0.35),
    "V6": (0.08, -0.10, 0.95, -0.10, 0.28),
}

Beat = NDArray[np.float32]  # [12, BEFORE_R + AFTER_R] mV


@dataclass(frozen=True, slots=True)
class Waves:
    """Timing of the waves of a beat: the PR and QT to be measured, and the width of T, in ms."""

    pr_ms: float = 156.0
    qt_ms: float = 390.0
    t_sd_ms: float = 40.0

    def centres_ms(self) -> tuple[float, ...]:
        """Peaks of P, Q, R, S, T relative to R."""
        p = -(self.pr_ms + _QRS_HALF_MS - _P_HALF_MS)
        t = self.qt_ms - _QRS_HALF_MS - _T_END_SD * self.t_sd_ms
        return p, -22.0, 0.0, 22.0, t

    def widths_ms(self) -> tuple[float, ...]:
        """Standard deviations of the five waves."""
        return _P_SD_MS, 9.0, 10.0, 9.0, self.t_sd_ms


def simulate_beat(waves: Waves, seed: int) -> Beat:
    """The twelve leads of one beat, the median of eight that neurokit2 simulates at 60 a minute; [12, samples] mV."""
    leads = {lead: _median_beat(waves, peaks, seed) for lead, peaks in _PEAKS_MV.items()}
    leads |= derive_limb_leads(leads)
    return np.stack([leads[lead] for lead in STANDARD_12])


def of_another_body(beat: Beat, seed: int) -> Beat:
    """The same beat of another patient: each recorded lead has its own gain, 0.8 to 1.2."""
    gains = dict(zip(_PEAKS_MV, np.random.default_rng(seed).uniform(0.8, 1.2, len(_PEAKS_MV)), strict=True))
    rows = dict(zip(STANDARD_12, beat, strict=True))
    leads = {lead: (np.float32(gain) * rows[lead]).astype(np.float32) for lead, gain in gains.items()}
    leads |= derive_limb_leads(leads)
    return np.stack([leads[lead] for lead in STANDARD_12])


def _median_beat(waves: Waves, peaks_mv: tuple[float, ...], seed: int) -> NDArray[np.float32]:
    """One lead of the beat [samples] mV.

    Raises
    ------
    RuntimeError
        No seed gave a beat with a flat baseline.
    """
    t_ms = (np.arange(BEFORE_R + AFTER_R) - BEFORE_R) / FS_HZ * 1000
    placed = zip(waves.centres_ms(), waves.widths_ms(), peaks_mv, strict=True)
    wanted = np.sum([peak * np.exp(-0.5 * ((t_ms - at) / sd) ** 2) for at, sd, peak in placed], axis=0)
    for attempt in range(_ATTEMPTS):
        beats = _simulated_beats(waves, peaks_mv, seed + 1000 * attempt)
        if len(beats) < _BEATS // 2:
            continue
        beat = np.median(beats, axis=0)
        if np.corrcoef(beat, wanted)[0, 1] > _MIN_CORRELATION:
            fade = np.ones(beat.size)
            fade[:_TAPER] = np.linspace(0, 1, _TAPER)
            fade[-_TAPER:] = fade[_TAPER - 1 :: -1]
            scaled: NDArray[np.float32] = (fade * beat * np.ptp(wanted) / np.ptp(beat)).astype(np.float32)
            return scaled
    raise RuntimeError(f"neurokit2 gave no clean beat of {waves} with {_ATTEMPTS} seeds from {seed} on")


def _simulated_beats(waves: Waves, peaks_mv: tuple[float, ...], seed: int) -> NDArray[np.float64]:
    """Beats of one lead as ECGSYN gives them, in its own unit; [beats, samples]."""
    import neurokit2 as nk

    centres, widths = np.array(waves.centres_ms()), 2e-3 * np.pi * np.array(waves.widths_ms())  # ms, radians
    n, transient = round((_BEATS + 2) * FS_HZ), round(_TRANSIENT_S * FS_HZ)
    # At 60 bpm ECGSYN's circle takes 1 s, and it neither moves nor widens the waves.
    signal = np.asarray(
        nk.ecg_simulate(
            length=n + 2 * transient,
            duration=(n + 2 * transient) / FS_HZ,
            sampling_rate=int(FS_HZ),
            noise=0,
            heart_rate=60,
            heart_rate_std=0.5,
            method="ecgsyn",
            random_state=seed,
            ti=0.36 * centres,
            bi=widths,
            ai=_STRONG * np.array(peaks_mv) / widths**2,
        )
    )[transient : transient + n]
    main = int(np.argmax(np.abs(peaks_mv)))
    tops = _tops(signal * np.sign(peaks_mv[main])) - round(centres[main] / 1000 * FS_HZ)
    return np.array([_from_baseline(signal[r - BEFORE_R : r + AFTER_R]) for r in tops if BEFORE_R <= r < n - AFTER_R])


def _from_baseline(beat: NDArray[np.float64]) -> NDArray[np.float64]:
    """The beat less the straight line between its two ends."""
    return beat - np.linspace(beat[:10].mean(), beat[-10:].mean(), beat.size)


def _tops(signal: NDArray[np.float64]) -> NDArray[np.int64]:
    """Samples of the highest wave of each beat, in a signal of one beat a second."""
    high = signal - np.median(signal)
    inner = high[1:-1]
    top = (inner > 0.5 * high.max()) & (inner >= high[:-2]) & (inner > high[2:])
    return np.flatnonzero(top).astype(np.int64) + 1


def lay_beats(n: int, r_samples: NDArray[np.int64], beats: list[Beat]) -> NDArray[np.float32]:
    """A signal with each beat at its R sample, in a loop of ``n`` samples; [12, n] mV.

    Respiration modulates the amplitude by 4 per cent.
    """
    out = np.zeros((12, n), np.float32)
    for r, beat in zip(r_samples, beats, strict=True):
        breath = 1 + 0.04 * np.sin(2 * np.pi * 0.25 * r / FS_HZ)
        span = np.arange(r - BEFORE_R, r + AFTER_R) % n  # the loop closes: a beat may reach over its end
        out[:, span] += np.float32(breath) * beat
    return out


def bedside_noise(n: int, seed: int) -> NDArray[np.float32]:
    """Noise of each of the twelve leads: respiration, muscle and mains; [12, n] mV.

    Whole numbers of periods fit in ``n`` samples, so a loop of the signal has no step.
    """
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(n) / n
    breaths, mains = round(0.24 * n / FS_HZ), round(50 * n / FS_HZ)
    leads = {}
    for lead in _PEAKS_MV:
        wander = rng.uniform(0.02, 0.05) * np.sin(breaths * phase + rng.uniform(0, 6.3))
        hum = rng.uniform(0.001, 0.004) * np.sin(mains * phase + rng.uniform(0, 6.3))
        leads[lead] = (wander + hum + rng.normal(0, 0.006, n)).astype(np.float32)
    leads |= derive_limb_leads(leads)
    return np.stack([leads[lead] for lead in STANDARD_12])
