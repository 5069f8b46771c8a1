"""Training windows: pools that batches are drawn from, and their augmentation.

A `WindowPool` holds windows as int16 (1 µV), so that ten thousand fit into 1.2 GB. Drawn windows are shifted in time,
given noise, and often reduced to fewer leads, so that the encoder learns beds with 1 to 7 leads too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.beats.detector import find_beats
from models.corpus.datasets import SAMPLES, CorpusRecord, twelve
from models.corpus.finding_labels import FindingLabels
from models.corpus.measurement_cache import INTERVALS
from models.ecg import Ecg
from models.encoder.configuration import SPREAD_FLOOR_MV, wander_basis
from models.finding_names import FINDINGS
from models.leads import STANDARD_12
from models.training.captions import caption, tokens
from models.training.compact_coca import BEAT_POINTS, INTERVAL_SCALE
from models.training.simulate import Simulated

Floats = NDArray[np.float32]

MICROVOLT = 1000.0  # int16 units per mV
BEAT_START_S, BEAT_HZ = -0.25, 80.0
LEAD_SETS: tuple[tuple[tuple[str, ...], float], ...] = (
    (STANDARD_12, 0.66),
    (STANDARD_12[:6], 0.07),
    ((*STANDARD_12[:6], "V1"), 0.05),
    ((*STANDARD_12[:6], "V5"), 0.04),
    (("II", "V1"), 0.04),
    (("II", "V5"), 0.04),
    (("II",), 0.05),
    (("I",), 0.05),
)
"""Lead sets of beds, and how often a window is reduced to them."""
_BASIS = wander_basis(SAMPLES)


@dataclass(eq=False)
class StoredWindows:
    """Windows that training draws from; a subclass adds the targets, arrays with one row per window."""

    mv: NDArray[np.int16]  # [n, 12, 5000]
    present: NDArray[np.bool_]  # [n, 12]
    weight: NDArray[np.float64]  # how often a window is drawn

    def __len__(self) -> int:
        return len(self.mv)

    def window(self, k: int) -> Floats:
        """Window ``k`` unchanged, [12, 5000] mV."""
        mv: Floats = self.mv[k].astype(np.float32) / MICROVOLT
        return mv

    def drawn(self, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
        """Rows of ``n`` windows by their weight, with repetition."""
        return rng.choice(len(self), n, p=self.weight / self.weight.sum())

    def save(self, path: Path) -> None:
        """Keep the windows, so that a resumed run need not read the recordings again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the windows that `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(**{field.name: file[field.name] for field in fields(cls)})


@dataclass(eq=False)
class WindowPool(StoredWindows):
    """Windows with the targets of pre-training."""

    findings: Floats  # [n, FINDINGS], NaN unknown
    beat: Floats  # [n, 12, BEAT_POINTS]
    intervals: Floats  # [n, INTERVALS] standardized, NaN unknown

    def labels(self, k: int) -> FindingLabels:
        """Known findings of window ``k``."""
        return {name: bool(v) for name, v in zip(FINDINGS, self.findings[k], strict=True) if np.isfinite(v)}

    def known_intervals(self, k: int) -> dict[str, float]:
        """Intervals in their own units, without the scatter."""
        values = zip(INTERVALS, self.intervals[k], strict=True)
        return {
            name: float(v) * INTERVAL_SCALE[name][1] + INTERVAL_SCALE[name][0]
            for name, v in values
            if np.isfinite(v) and name != "SCATTER"
        }

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.int64], Floats, Floats, Floats]:
        """Augmented batch: ECG, caption words, findings, average beats, intervals, as of `PretrainBatch`."""
        rows = self.drawn(rng, n)
        ecg = np.stack([augment(rng, self.window(k), self.present[k]) for k in rows])
        texts = [caption(self.labels(k), self.known_intervals(k), rng) for k in rows]
        beat = np.where(np.abs(ecg).max(axis=2, keepdims=True) > 0, self.beat[rows], np.nan).astype(np.float32)
        return ecg, tokens(texts), self.findings[rows], beat, self.intervals[rows]


def augment(rng: np.random.Generator, mv: Floats, present: NDArray[np.bool_]) -> Floats:
    """Augment a window [12, 5000]: shift by up to a second, add noise and wander, scale leads, drop leads."""
    if rng.random() < 0.6:
        mv = shifted(mv, int(rng.integers(-500, 500)))
    return disturbed(rng, mv, present)


def shifted(mv: Floats, samples: int) -> Floats:
    """Shift [rows, n] to the right by ``samples`` (to the left where negative); zeros move in."""
    out = np.roll(mv, samples, axis=1)
    out[:, : max(0, samples)] = 0.0
    out[:, out.shape[1] + min(0, samples) :] = 0.0
    return out


def disturbed(rng: np.random.Generator, mv: Floats, present: NDArray[np.bool_]) -> Floats:
    """Add noise and wander to a window [12, 5000], scale its leads, and drop some."""
    size = np.sqrt(np.mean(mv**2, axis=1, keepdims=True))
    if rng.random() < 0.5:
        white = rng.standard_normal(mv.shape, np.float32)
        white[:, 1:] += rng.uniform(-0.8, 0.8) * white[:, :-1]
        mv = mv + rng.uniform(0.02, 0.2) * size * white
    if rng.random() < 0.5:
        slow = rng.standard_normal((12, _BASIS.shape[1])).astype(np.float32) @ _BASIS.T
        mv = mv + rng.uniform(0.0, 20.0) * size * slow
    if rng.random() < 0.3:
        mv = mv * rng.uniform(0.8, 1.25, (12, 1)).astype(np.float32)
    keep = _keep(rng, present)
    out: Floats = (mv * keep[:, None]).astype(np.float32)
    return out


def _keep(rng: np.random.Generator, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    k = int(rng.choice(len(LEAD_SETS), p=[share for _, share in LEAD_SETS]))
    wanted = np.isin(STANDARD_12, LEAD_SETS[k][0]) & present
    if rng.random() < 0.1:  # any one lead may fail
        wanted[int(rng.integers(12))] = False
    return wanted if wanted.any() else present


def pool_of_records(
    records: Iterable[CorpusRecord], measured: Mapping[str, Mapping[str, float]] | None = None
) -> WindowPool:
    """Pool of real windows; a window is drawn more often, the rarer its rarest finding.

    Parameters
    ----------
    measured : mapping, optional
        Record key to measurements by the names of `INTERVALS`.
    """
    found = measured or {}
    parts = [(r, *twelve(r.ecg)) for r in records]
    labels = np.array([_row(r.labels) for r, _, _ in parts], np.float32)
    count = np.nansum(labels, axis=0)
    weight = np.array(
        [
            max([1.0, *(np.sqrt(200.0 / count[k]) for k in np.flatnonzero(row == 1) if 0 < count[k] < 200)])
            for row in labels
        ]
    )
    weight *= np.array([0.15 if r.source == "cinc2017" else 1.0 for r, _, _ in parts])  # many, alike, and of one lead
    known = [(mv, present, dict(found.get(r.key, {}))) for r, mv, present in parts]
    return _pool(known, labels, np.minimum(weight, 4.0))


def pool_of_simulated(records: Iterable[Simulated]) -> WindowPool:
    """Pool of simulated windows; intervals as set in the simulation."""
    parts = [(twelve(s.ecg), s) for s in records]
    labels = np.array([_row(s.findings) for _, s in parts], np.float32)
    return _pool([(mv, present, s.intervals) for (mv, present), s in parts], labels, np.ones(len(parts)))


def _row(labels: FindingLabels) -> list[float]:
    return [float(labels[f]) if f in labels else float("nan") for f in FINDINGS]


def _pool(
    parts: list[tuple[Floats, NDArray[np.bool_], dict[str, float]]], labels: Floats, weight: NDArray[np.float64]
) -> WindowPool:
    mv = np.empty((len(parts), 12, SAMPLES), np.int16)
    beat = np.full((len(parts), 12, BEAT_POINTS), np.nan, np.float32)
    intervals = np.full((len(parts), len(INTERVALS)), np.nan, np.float32)
    for k, (window, present, known) in enumerate(parts):
        mv[k] = np.clip(np.round(window * MICROVOLT), -32767, 32767)
        shape, measured = average_beat(window, present)
        beat[k] = shape
        for name, value in (measured | known).items():
            centre, spread = INTERVAL_SCALE[name]
            intervals[k, INTERVALS.index(name)] = (value - centre) / spread
    return WindowPool(mv, np.array([present for _, present, _ in parts]), weight, labels, beat, intervals)


def average_beat(mv: Floats, present: NDArray[np.bool_]) -> tuple[Floats, dict[str, float]]:
    """The median beat of each lead, lead-normed, [12, BEAT_POINTS], NaN in absent leads; and rate and scatter of RR."""
    empty = np.full((12, BEAT_POINTS), np.nan, np.float32)
    leads = tuple(x for x, there in zip(STANDARD_12, present, strict=True) if there)
    r = np.array([b.sample for b in find_beats(Ecg(leads, 500.0, mv[present]))])
    if len(r) < 3:
        return empty, {}
    steady = mv - (mv @ _BASIS) @ _BASIS.T
    steady = steady / (np.sqrt(np.mean(steady**2, axis=1, keepdims=True)) + SPREAD_FLOOR_MV)
    at = r[:, None] + np.round((BEAT_START_S + np.arange(BEAT_POINTS) / BEAT_HZ) * 500).astype(int)
    at = at[(at[:, 0] >= 0) & (at[:, -1] < mv.shape[1])]
    if len(at) == 0:
        return empty, {}
    shape = np.median(steady[:, at], axis=1)
    rr = np.diff(r) / 500.0
    shape[~present] = np.nan
    return shape.astype(np.float32), {"HR": 60.0 / float(np.median(rr)), "SCATTER": float(np.std(rr) / np.mean(rr))}
