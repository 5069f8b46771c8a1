"""Distortions of a signal: rate, leads, gain, noise, pacing pulses, missing samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from models.leads import STANDARD_12
from models.signal.conditioning import resample
from tests.fuzz.distortion import Distortion, Rng, chance, number, power, seed_of, some_leads, span_of
from tests.fuzz.feed import LETHAL, Signal

PLAUSIBLE_GAIN = (0.4, 3.0)
USABLE_MAINS_MV, USABLE_MAINS_HZ = 0.4, 200.0  # mains of this size at this rate is removed before detection
USABLE_EMG_MV = 0.02
USABLE_WANDER_MV = 0.4
PACED_HZ = 500.0  # a pulse of 1 to 2 ms is seen as one from this rate on
MONITORED_HZ = 100.0  # below: beats and rhythm only
CRITERIA_OF_BEATS = ("ASYSTOLE", "EXTREME_BRADY", "EXTREME_TACHY")
RATES_HZ = (50, 62.5, 100, 120, 125, 128, 180, 200, 240, 250, 256, 300, 360, 400, 500, 512, 1000, 1024, 2000)
Noise = NDArray[np.float64]


@dataclass(frozen=True)
class SamplingRate(Distortion):
    """The device samples at another rate; ``declared_hz`` is what it says of it."""

    fs_hz: float = 250.0
    declared_hz: float = 250.0
    stage: ClassVar[int] = 10
    group: ClassVar[str] = "rate"
    weight: ClassVar[float] = 3.0

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> SamplingRate:
        kind = int(rng.integers(4))
        if kind == 0:
            fs = float(rng.choice(RATES_HZ))
            return cls(seed_of(rng), fs, fs)
        if kind == 1:  # measured: near a nominal rate
            fs = float(rng.choice((125, 250, 500)))
            return cls(seed_of(rng), fs, round(fs * (1 + float(rng.uniform(-1e-3, 1e-3))), 4))
        if kind == 2:
            fs = number(rng, 50.0, 600.0, 2)
            return cls(seed_of(rng), fs, fs)
        fs = float(rng.integers(50, 2001))
        return cls(seed_of(rng), fs, fs)

    def on_signal(self, signal: Signal) -> None:
        signal.mv = resample(signal.mv, signal.fs_hz, self.fs_hz)
        at = (np.arange(signal.mv.shape[1]) * (signal.fs_hz / self.fs_hz)).astype(int)
        signal.usable = signal.usable[:, np.minimum(at, signal.usable.shape[1] - 1)]
        signal.fs_hz = self.declared_hz
        if self.fs_hz < MONITORED_HZ and signal.episode and signal.episode.code not in CRITERIA_OF_BEATS:
            signal.demands_episode = False


@dataclass(frozen=True)
class LeadSet(Distortion):
    """Other lead names: one lead alone, unknown names, up to 64 leads."""

    names: tuple[str, ...] = ("II",)
    stage: ClassVar[int] = 20
    group: ClassVar[str] = "leads"
    weight: ClassVar[float] = 2.0

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> LeadSet:
        kind = int(rng.integers(6))
        if kind <= 1:
            names: tuple[str, ...] = (str(rng.choice(["II", "MLII", "I", "V", "MCL1", "ECG", "V5", "Ω-1", "lead 7"])),)
        elif kind == 2:
            pairs = [("II", "V"), ("V1", "ECG"), ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V5"), ("ECG1", "ECG2"), ("aVF", "I")]
            names = pairs[int(rng.integers(len(pairs)))]
        elif kind == 3:
            names = ("I", "II", "V")
        elif kind == 4:
            names = STANDARD_12
        else:
            names = tuple(f"L{k}" for k in range(int(rng.integers(3, 61))))
        return cls(seed_of(rng), names)

    def on_signal(self, signal: Signal) -> None:
        rows = [k % len(signal.leads) for k in range(len(self.names))]
        scale = self.rng.uniform(0.7, 1.3, len(self.names)).astype(np.float32)
        scale[: len(signal.leads)] = 1.0
        noise = self.rng.normal(0, 0.004, (len(self.names), signal.n_samples)).astype(np.float32)
        signal.mv = signal.mv[rows] * scale[:, None] + noise
        signal.usable = signal.usable[rows].copy()
        signal.leads = list(self.names)


@dataclass(frozen=True)
class BadLead(Distortion):
    """One more lead that shows nothing of the heart: flat, at a rail, noise, or without a sample."""

    kind: str = "flat"
    first: bool = False
    stage: ClassVar[int] = 30

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> BadLead:
        return cls(seed_of(rng), str(rng.choice(["flat", "rail", "noise", "missing", "mains"])), chance(rng, 0.5))

    def on_signal(self, signal: Signal) -> None:
        n = signal.n_samples
        name = next(x for x in ("aVL", "X9", "X10") if x not in signal.leads)
        t = np.arange(n) / signal.fs_hz
        lines = {
            "flat": np.zeros(n),
            "rail": np.full(n, 60.0),
            "noise": self.rng.normal(0, 0.5, n),
            "missing": np.full(n, np.nan),
            "mains": 2.0 * np.sin(2 * np.pi * 50 * t),
        }
        line = lines[self.kind].astype(np.float32)[None]
        dead = np.zeros((1, n), bool)
        if self.first:
            signal.mv, signal.usable = np.vstack([line, signal.mv]), np.vstack([dead, signal.usable])
            signal.leads = [name, *signal.leads]
        else:
            signal.mv, signal.usable = np.vstack([signal.mv, line]), np.vstack([signal.usable, dead])
            signal.leads = [*signal.leads, name]


@dataclass(frozen=True)
class Gain(Distortion):
    """The declared gain is wrong by a factor."""

    factor: float = 1.0
    leads: tuple[int, ...] = (0, 1)
    stage: ClassVar[int] = 25
    group: ClassVar[str] = "gain"

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Gain:
        factor = power(rng, 1e-3, 1e3) if chance(rng, 0.6) else power(rng, *PLAUSIBLE_GAIN)
        return cls(seed_of(rng), factor, some_leads(rng))

    def on_signal(self, signal: Signal) -> None:
        rows = signal.rows(self.leads)
        signal.mv = signal.mv.copy()
        signal.mv[rows] *= np.float32(self.factor)
        if not PLAUSIBLE_GAIN[0] <= self.factor <= PLAUSIBLE_GAIN[1]:
            signal.usable[rows] = False


@dataclass(frozen=True)
class Saturation(Distortion):
    """A lead stands at a rail for a while."""

    rail_mv: float = 5.0
    start_s: float = 0.0
    stop_s: float = 5.0
    leads: tuple[int, ...] = (0, 1)
    stage: ClassVar[int] = 45

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Saturation:
        return cls(seed_of(rng), float(rng.choice([-60, -5, 2, 5, 60])), *span_of(rng, seconds, 1, 20), some_leads(rng))

    def on_signal(self, signal: Signal) -> None:
        signal.mv = signal.mv.copy()
        for row in signal.rows(self.leads):
            signal.mv[row, signal.span(self.start_s, self.stop_s)] = self.rail_mv
            signal.usable[row, signal.span(self.start_s - 1, self.stop_s + 1)] = False


@dataclass(frozen=True)
class Mains(Distortion):
    """Mains interference with its third harmonic."""

    hz: float = 50.0
    mv: float = 0.1
    leads: tuple[int, ...] = (0, 1)
    stage: ClassVar[int] = 40
    group: ClassVar[str] = "mains"

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Mains:
        hz = float(rng.choice([50, 60])) + number(rng, -0.3, 0.3, 2)
        return cls(seed_of(rng), round(hz, 2), power(rng, 0.05, 1.5), some_leads(rng))

    def on_signal(self, signal: Signal) -> None:
        t = np.arange(signal.n_samples) / signal.fs_hz
        wave = self.mv * (np.sin(2 * np.pi * self.hz * t) + 0.1 * np.sin(6 * np.pi * self.hz * t))
        rows = signal.rows(self.leads)
        _add(signal, rows, wave)
        if self.mv > USABLE_MAINS_MV or signal.fs_hz < USABLE_MAINS_HZ:
            signal.usable[rows] = False


@dataclass(frozen=True)
class NoiseSpan(Distortion):
    """Muscle noise, motion or baseline wander in a span."""

    kind: str = "muscle"
    mv: float = 0.1
    start_s: float = 0.0
    stop_s: float = 10.0
    leads: tuple[int, ...] = (0, 1)
    stage: ClassVar[int] = 40

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> NoiseSpan:
        kind = str(rng.choice(["muscle", "motion", "wander"]))
        return cls(seed_of(rng), kind, power(rng, 0.01, 3.0), *span_of(rng, seconds, 2, seconds), some_leads(rng))

    def on_signal(self, signal: Signal) -> None:
        n, fs, rng = signal.n_samples, signal.fs_hz, self.rng
        t = np.arange(n) / fs
        if self.kind == "muscle":
            noise, limit = rng.normal(0, self.mv, n), USABLE_EMG_MV
        elif self.kind == "motion":
            steps = np.where(rng.random(n) < 1.5 / fs, rng.normal(0, self.mv, n), 0.0)
            noise, limit = _leaky(steps, 0.7, fs), 0.0
        else:
            noise, limit = self.mv * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * t), USABLE_WANDER_MV
        span = signal.span(self.start_s, self.stop_s)
        part = np.zeros(n)
        part[span] = noise[span]
        _add(signal, signal.rows(self.leads), part)
        if self.mv > limit:
            for row in signal.rows(self.leads):
                signal.usable[row, signal.span(self.start_s - 1, self.stop_s + 1)] = False


@dataclass(frozen=True)
class Pacing(Distortion):
    """Pacing pulses before each beat, that go on without capture through the episode; the device may mark them."""

    mv: float = 5.0
    marked: bool = False
    paced_flag: bool = False
    tail_mv: float = 0.0
    leads: tuple[int, ...] = (0, 1)
    stage: ClassVar[int] = 42
    group: ClassVar[str] = "pacing"
    weight: ClassVar[float] = 1.5

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Pacing:
        tail = number(rng, 0.0, 0.3, 2) if chance(rng, 0.3) else 0.0
        marked = chance(rng, 0.4)
        return cls(seed_of(rng), power(rng, 0.2, 50.0), marked, marked or chance(rng, 0.5), tail, some_leads(rng))

    def on_signal(self, signal: Signal) -> None:
        fs, n = signal.fs_hz, signal.n_samples
        at_s = [b - 0.04 for b in signal.beats_s if b > 0.04]
        if at_s:
            at_s += list(np.arange(at_s[-1] + 0.8, signal.seconds, 0.8))
        pulses = np.zeros(n)
        width = max(1, round(0.002 * fs))
        for s in at_s:
            k = round(s * fs)
            pulses[k : k + width] += self.mv
            if self.tail_mv:
                tail = np.arange(round(0.06 * fs)) / fs
                m = min(tail.size, max(0, n - k - width))
                pulses[k + width : k + width + m] -= (self.tail_mv * np.exp(-tail / 0.015))[:m]
            if self.marked and k < n:
                signal.marks.append(k)
        rows = signal.rows(self.leads)
        _add(signal, rows, pulses)
        signal.paced = self.paced_flag
        standstill = signal.episode is not None and signal.episode.code == "ASYSTOLE"
        if not standstill or self.tail_mv or fs < PACED_HZ:
            signal.usable[rows] = False
            if self.marked:
                signal.demands_episode = False


@dataclass(frozen=True)
class Missing(Distortion):
    """Samples that the device does not send: a span, every second sample, or short dropouts again and again."""

    kind: str = "span"
    start_s: float = 0.0
    stop_s: float = 5.0
    leads: tuple[int, ...] = (0, 1)
    every_s: float = 4.0
    stage: ClassVar[int] = 60
    weight: ClassVar[float] = 2.0

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Missing:
        kind = str(rng.choice(["span", "second sample", "dropouts", "to the end"]))
        start, stop = span_of(rng, seconds, 0.5, 25)
        if kind == "to the end":
            stop = seconds
        return cls(seed_of(rng), kind, start, stop, some_leads(rng), number(rng, 1.5, 8, 1))

    def on_signal(self, signal: Signal) -> None:
        signal.mv = signal.mv.copy()
        gone = np.zeros(signal.n_samples, bool)
        if self.kind == "second sample":
            gone[signal.span(self.start_s, self.stop_s)][1::2] = True
        elif self.kind == "dropouts":
            for s in np.arange(self.start_s, signal.seconds, self.every_s):
                gone[signal.span(s, s + self.rng.uniform(0.1, 2.0))] = True
        else:
            gone[signal.span(self.start_s, self.stop_s)] = True
        for row in signal.rows(self.leads):
            signal.mv[row, gone] = np.nan
            signal.usable[row, gone] = False


@dataclass(frozen=True)
class LeadsOff(Distortion):
    """A detached electrode: the lead is named in ``leads_off`` and floats."""

    start_s: float = 0.0
    stop_s: float = 10.0
    leads: tuple[int, ...] = (0,)
    stage: ClassVar[int] = 50

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> LeadsOff:
        return cls(seed_of(rng), *span_of(rng, seconds, 1, 25), some_leads(rng))

    def on_signal(self, signal: Signal) -> None:
        for row in signal.rows(self.leads):
            span = signal.span(self.start_s, self.stop_s)
            signal.mv = signal.mv.copy()
            n = signal.mv[row, span].size
            signal.mv[row, span] = 3.0 + self.rng.normal(0, 0.3, n)
            signal.usable[row, signal.span(self.start_s - 1, self.stop_s + 1)] = False
            signal.leads_off.append((signal.leads[row], self.start_s, self.stop_s))


def _add(signal: Signal, rows: list[int], wave: Noise) -> None:
    signal.mv = signal.mv.copy()
    signal.mv[rows] += wave.astype(np.float32)


def _leaky(steps: Noise, seconds: float, fs_hz: float) -> Noise:
    """Steps that decay, as the baseline after an electrode has moved."""
    from scipy.signal import lfilter

    decay = np.exp(-1.0 / (seconds * fs_hz))
    return np.asarray(lfilter([1.0], [1.0, -decay], steps), np.float64)


SIGNAL_DISTORTIONS: tuple[type[Distortion], ...] = (
    SamplingRate,
    LeadSet,
    BadLead,
    Gain,
    Saturation,
    Mains,
    NoiseSpan,
    Pacing,
    Missing,
    LeadsOff,
)
assert set(CRITERIA_OF_BEATS) < set(LETHAL)
