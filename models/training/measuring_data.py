"""Windows with the targets of the measuring tower, and windows that cannot be read.

A `MeasuringPool` holds windows as int16 (1 µV). Targets of a window: wave and beat probabilities by frame, from the
delineation network and the beat detector; measured rate and intervals; descriptors; findings of its labels. NaN where
nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from models.beats.detector import find_beats
from models.corpus.datasets import FS_HZ, SAMPLES, CorpusRecord, twelve
from models.corpus.measurement_cache import RecordMeasurements
from models.ecg import Ecg
from models.encoder.configuration import wander_basis
from models.finding_names import FINDINGS
from models.gem.measuring_layout import (
    ATTRIBUTES,
    BINS,
    FRAMES,
    LEARNT_DESCRIPTORS,
    MARKS,
    PATCH,
    QUANTITIES,
    READABLE,
    bin_position,
)
from models.gem.page import reference_page
from models.gem.page_signal import signal_of_page
from models.leads import STANDARD_12
from models.measurement.delineation import wave_probabilities
from models.training.window_pool import MICROVOLT, StoredWindows, disturbed, shifted

Floats = NDArray[np.float32]

BEAT_SPREAD = 1.0  # frames: width of the target around an R peak
BIN_SPREAD = 1.5  # bins: width of the target around a measured value
MARK_UNIT = 200.0  # uint8 units of a probability of one
CINC2017_WEIGHT = 0.15  # many, alike, and of one lead
_BASIS = wander_basis(SAMPLES)


class MeasuringBatch(NamedTuple):
    """One batch of B windows; NaN where nothing is known."""

    ecg: Floats  # [B, 12, 5000] mV
    marks: Floats  # [B, MARKS, FRAMES]
    values: Floats  # [B, QUANTITIES, BINS], each a distribution
    measurable: Floats  # [B, QUANTITIES]
    attributes: Floats  # [B, ATTRIBUTES]


@dataclass(eq=False)
class MeasuringPool(StoredWindows):
    """Windows with the targets of the measuring tower."""

    marks: NDArray[np.uint8]  # [n, MARKS, FRAMES]
    values: Floats  # [n, QUANTITIES] bpm, ms; NaN unknown or not measurable
    measurable: Floats  # [n, QUANTITIES] 0, 1, NaN unknown
    attributes: Floats  # [n, ATTRIBUTES]

    def draw(self, rng: np.random.Generator, n: int) -> MeasuringBatch:
        """Augmented batch."""
        rows = self.drawn(rng, n)
        windows, marks = [], []
        for k in rows:
            mv, mark = self.window(k), self.marks[k].astype(np.float32) / MARK_UNIT
            if rng.random() < 0.6:
                frames = int(rng.integers(-60, 60))
                mv, mark = shifted(mv, frames * PATCH), shifted(mark, frames)
            windows.append(disturbed(rng, mv, self.present[k]))
            marks.append(mark)
        return MeasuringBatch(
            np.stack(windows),
            np.stack(marks),
            np.stack([distributions(v) for v in self.values[rows]]),
            self.measurable[rows],
            self.attributes[rows],
        )


def distributions(values: Floats) -> Floats:
    """[QUANTITIES] values to their targets [QUANTITIES, BINS]; NaN rows for NaN values."""
    out = np.full((len(QUANTITIES), BINS), np.nan, np.float32)
    for k, name in enumerate(QUANTITIES):
        if np.isfinite(values[k]):
            away = np.arange(BINS) - bin_position(name, float(values[k]))
            p = np.exp(-0.5 * (away / BIN_SPREAD) ** 2)
            out[k] = p / p.sum()
    return out


def measuring_pool(
    records: Iterable[CorpusRecord],
    measured: Mapping[str, RecordMeasurements],
    rates: Mapping[str, float] | None = None,
) -> MeasuringPool:
    """Pool of records.

    Parameters
    ----------
    records : iterable of CorpusRecord
    measured : mapping
        Record key to measurements; records without them teach marks, rhythm findings and, by ``rates``, the rate.
    rates : mapping, optional
        Record key to rate, bpm.
    """
    rows = list(records)
    labels = np.array([[r.labels.get(f, np.nan) for f in FINDINGS] for r in rows], np.float32)
    count = np.nansum(labels, axis=0)
    rare = [
        max([1.0, *(np.sqrt(200.0 / count[k]) for k in np.flatnonzero(row == 1) if count[k] < 200)]) for row in labels
    ]
    weight = np.minimum(rare, 4.0) * np.array([CINC2017_WEIGHT if r.source == "cinc2017" else 1.0 for r in rows])
    parts = [
        _targets(r, measured.get(r.key), (rates or {}).get(r.key))
        for r in track(rows, description="delineating", console=Console(stderr=True))
    ]
    mv, present, marks, values, measurable, attributes = (np.stack(column) for column in zip(*parts, strict=True))
    return MeasuringPool(mv, present, weight, marks, values, measurable, attributes)


def _targets(record: CorpusRecord, measured: RecordMeasurements | None, rate: float | None) -> tuple:  # type: ignore[type-arg]
    mv, present = twelve(record.ecg)
    ecg = Ecg(tuple(x for x, there in zip(STANDARD_12, present, strict=True) if there), FS_HZ, mv[present])
    values = np.full(len(QUANTITIES), np.nan, np.float32)
    measurable = np.full(len(QUANTITIES), np.nan, np.float32)
    attributes = np.full(len(ATTRIBUTES), np.nan, np.float32)
    if measured is not None:
        found = {e.measure: e.value for e in measured.prompt_measurements}
        values[:] = [found.get(name, np.nan) for name in QUANTITIES]
        measurable[:] = np.isfinite(values)
        if found:
            attributes[[ATTRIBUTES.index(d) for d in LEARNT_DESCRIPTORS]] = [
                d in measured.prompt_descriptors for d in LEARNT_DESCRIPTORS
            ]
    elif rate is not None:
        values[0], measurable[0] = rate, 1.0
    attributes[ATTRIBUTES.index(READABLE)] = 1.0 if measured is None or np.isfinite(values[0]) else np.nan
    attributes[len(ATTRIBUTES) - len(FINDINGS) :] = [record.labels.get(f, np.nan) for f in FINDINGS]
    stored = np.clip(np.round(mv * MICROVOLT), -32767, 32767).astype(np.int16)
    return stored, present, frame_marks(ecg), values, measurable, attributes


def frame_marks(ecg: Ecg) -> NDArray[np.uint8]:
    """Probability of P, QRS, T and beat in each frame of ten seconds, [MARKS, FRAMES], 200 for one."""
    out = np.zeros((MARKS, FRAMES), np.float32)
    waves = wave_probabilities(ecg.mv, ecg.fs_hz)[:, 1:].mean(axis=0)  # [3, cells] of 8 ms: two to a frame
    pairs = waves[:, : 2 * FRAMES].reshape(3, -1, 2).mean(axis=2)
    out[:3, : pairs.shape[1]] = pairs
    at = np.array([b.sample for b in find_beats(ecg)], np.float64) / PATCH - 0.5
    frames = np.arange(FRAMES)
    for centre in at:
        out[3] = np.maximum(out[3], np.exp(-0.5 * ((frames - centre) / BEAT_SPREAD) ** 2))
    return np.round(out * MARK_UNIT).astype(np.uint8)


def pages_of(pool: MeasuringPool, n: int, seed: int) -> MeasuringPool:
    """Twelve-lead windows of a pool, drawn at random without repetition, as read from their drawn pages."""
    whole = np.flatnonzero(pool.present.all(axis=1))
    rows = np.random.default_rng(seed).permutation(whole)[:n]
    parts = {field.name: getattr(pool, field.name)[rows] for field in fields(pool)}
    drawn = (signal_of_page(reference_page(Ecg(STANDARD_12, FS_HZ, pool.window(int(k))))) for k in rows)
    stored = [np.clip(np.round(mv * MICROVOLT), -32767, 32767).astype(np.int16) for mv in drawn]
    return MeasuringPool(**parts | {"mv": np.stack(stored)})


def unreadable_batch(rng: np.random.Generator, n: int) -> MeasuringBatch:
    """Windows without an ECG: flat, noise of many colours, mains, wander, single artefacts."""
    attributes = np.full((n, len(ATTRIBUTES)), np.nan, np.float32)
    attributes[:, ATTRIBUTES.index(READABLE)] = 0.0
    return MeasuringBatch(
        np.stack([unreadable_window(rng) for _ in range(n)]),
        np.zeros((n, MARKS, FRAMES), np.float32),
        np.full((n, len(QUANTITIES), BINS), np.nan, np.float32),
        np.zeros((n, len(QUANTITIES)), np.float32),
        attributes,
    )


def unreadable_window(rng: np.random.Generator) -> Floats:
    """One window [12, 5000] mV without an ECG."""
    mv = np.zeros((12, SAMPLES), np.float32)
    if rng.random() < 0.15:
        return mv
    t = np.arange(SAMPLES) / FS_HZ
    size = float(np.exp(rng.uniform(np.log(0.003), np.log(2.0))))
    if rng.random() < 0.7:
        mv += size * coloured_noise(rng, rng.uniform(-0.5, 2.0))
    if rng.random() < 0.3:
        mv += size * rng.uniform(0.2, 3.0) * np.sin(2 * np.pi * (rng.choice([50.0, 60.0]) * t + rng.random()))
    if rng.random() < 0.3:
        mv += rng.uniform(0.1, 3.0) * (rng.standard_normal((12, _BASIS.shape[1])) @ _BASIS.T * 70.0)
    if rng.random() < 0.2:
        for at in rng.integers(0, SAMPLES - 100, int(rng.integers(1, 4))):
            mv[:, at : at + int(rng.integers(2, 100))] += rng.standard_normal((12, 1)) * rng.uniform(0.3, 3.0)
    kept = rng.random(12) < rng.choice([1.0, 0.5, 0.15])
    out: Floats = (mv * kept[:, None]).astype(np.float32)
    return out


def coloured_noise(rng: np.random.Generator, exponent: float) -> Floats:
    """Noise [12, 5000] of root mean square one, whose power falls with frequency by ``exponent``; 0 is white."""
    spectrum = np.fft.rfft(rng.standard_normal((12, SAMPLES)))
    f = np.maximum(np.fft.rfftfreq(SAMPLES, 1 / FS_HZ), 0.5)
    mv = np.fft.irfft(spectrum * f ** (-exponent / 2), n=SAMPLES)
    if rng.random() < 0.5:
        mv *= 1.0 + 0.9 * np.sin(2 * np.pi * (rng.uniform(0.1, 2.0) * np.arange(SAMPLES) / FS_HZ + rng.random()))
    out: Floats = (mv / (mv.std(axis=1, keepdims=True) + 1e-9)).astype(np.float32)
    return out


def joined(*batches: MeasuringBatch) -> MeasuringBatch:
    """Batches one after another."""
    return MeasuringBatch(*(np.concatenate(part).astype(np.float32) for part in zip(*batches, strict=True)))
