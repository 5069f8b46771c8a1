"""Training examples of the delineation network: LUDB wave marks and MIT-BIH beats, augmented.

Every example is cut anew from a record: time stretched, leads dropped, mixed or inverted, gain changed, noise of the
MIT-BIH Noise Stress Test recordings added at a random signal-to-noise ratio, mains hum, asystole spliced in. Only the
part of the noise recordings after the tenth minute is used: the noise stress test of the evaluation adds the first ten.

Arrays: input float32 [records, leads, SAMPLES] at 250 Hz; targets on cells of 8 ms, each the share of the cell that the
wave covers, so that the 50 % crossing is the mark itself; masks are 0 where nothing was annotated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.networks.delineator import CELL_S, NET_FS_HZ
from models.networks.scaling import net_input
from models.signal.conditioning import fill_gaps, resample

SAMPLES = 2048
CELLS = SAMPLES // 2
BEAT_HALF_S = 0.040  # a cell this near to an R peak belongs to the beat
NOISE_FROM_S = 600.0  # the noise stress test uses what comes before
BEAT_SYMBOLS = "NLRBAaJSVrFejnE/fQ?"
VENTRICULAR, OTHER = "VEr", "NLRBejAaJSn"
LUDB_LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")
KINDS = {"p": 1, "N": 2, "t": 3}
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AnnotatedRecord:
    """A 12-lead record with marks: per lead rows of (class, onset, peak, offset) in seconds, NaN where not marked."""

    mv: Floats
    marks: tuple[NDArray[np.float64], ...]
    beats: NDArray[np.float64]  # seconds, median over the leads
    ventricular: float  # 0: none is; NaN: not known


@dataclass(frozen=True, eq=False)
class BeatRecord:
    """A long record with beats in seconds: 1 ventricular, 0 other, NaN unknown; ``flutter_spans`` in seconds."""

    mv: Floats
    beats: NDArray[np.float64]
    ventricular: NDArray[np.float64]
    flutter_spans: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class DelineationBatch:
    """Input and targets of one step."""

    x: Floats  # [records, leads, SAMPLES]
    waves: Floats  # [records, leads, 4, CELLS]
    waves_known: Floats  # [records, leads, CELLS]
    beat: Floats  # [records, CELLS]
    beat_known: Floats  # [records, CELLS]
    ventricular: Floats  # [records, CELLS]
    ventricular_known: Floats  # [records, CELLS]


def load_ludb(folder: Path, skip: frozenset[str]) -> list[AnnotatedRecord]:
    """LUDB records that are not in ``skip``."""
    import csv

    import wfdb

    out = []
    with (folder / "manifest.csv").open() as f:
        rows = [r for r in csv.DictReader(f) if r["record"] not in skip]
    for row in rows:
        path = str(folder / "data" / row["record"])
        record = wfdb.rdrecord(path)
        fs = float(record.fs)
        marks = []
        for lead in LUDB_LEADS:
            a = wfdb.rdann(path, lead)
            s, y = a.sample / fs, a.symbol
            marks.append(
                np.array(
                    [
                        (
                            KINDS[c],
                            s[k - 1] if k and y[k - 1] == "(" else np.nan,
                            s[k],
                            s[k + 1] if k + 1 < len(y) and y[k + 1] == ")" else np.nan,
                        )
                        for k, c in enumerate(y)
                        if c in KINDS
                    ]
                ).reshape(-1, 4)
            )
        order = [[n.lower() for n in record.sig_name].index(lead) for lead in LUDB_LEADS]
        mv = resample(record.p_signal.T[order].astype(np.float32), fs, NET_FS_HZ)
        unsure = "Ventricular extrasystole" in row["extrasystoles"] or row["pacing"]
        out.append(AnnotatedRecord(mv, tuple(marks), _common_beats(marks), float("nan") if unsure else 0.0))
    return out


def _common_beats(marks: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """R positions over the leads: peaks within 100 ms of each other, as medians."""
    peaks = np.sort(np.concatenate([m[m[:, 0] == 2, 2] for m in marks]))
    if not len(peaks):
        return peaks
    groups = np.split(peaks, np.flatnonzero(np.diff(peaks) > 0.1) + 1)
    return np.array([np.median(g) for g in groups if len(g) >= 4])


def load_mitdb(folder: Path, skip: frozenset[str]) -> list[BeatRecord]:
    """MIT-BIH records that are not in ``skip``."""
    import csv

    import wfdb

    out = []
    with (folder / "manifest.csv").open() as f:
        names = [r["record"] for r in csv.DictReader(f) if r["record"] not in skip]
    for name in names:
        record, a = wfdb.rdrecord(str(folder / "data" / name)), wfdb.rdann(str(folder / "data" / name), "atr")
        fs = float(record.fs)
        is_beat = np.array([s in BEAT_SYMBOLS for s in a.symbol])
        kinds = np.array([1.0 if s in VENTRICULAR else 0.0 if s in OTHER else np.nan for s in a.symbol])
        opened = [t / fs for t, s in zip(a.sample, a.symbol, strict=True) if s == "["]
        closed = [t / fs for t, s in zip(a.sample, a.symbol, strict=True) if s == "]"]
        mv = resample(record.p_signal.T.astype(np.float32), fs, NET_FS_HZ)
        out.append(BeatRecord(mv, a.sample[is_beat] / fs, kinds[is_beat], tuple(zip(opened, closed, strict=False))))
    return out


def load_noise(folder: Path) -> list[Floats]:
    """Baseline wander, muscle and electrode motion, [2, samples] at 250 Hz, each of unit rms."""
    import wfdb

    out = []
    for name in ("bw", "ma", "em_recovered"):
        record = wfdb.rdrecord(str(folder / name))
        signal = fill_gaps(record.p_signal.T.astype(np.float32))[0]
        mv = resample(signal, float(record.fs), NET_FS_HZ)[:, round(NOISE_FROM_S * NET_FS_HZ) :]
        mv = mv - mv.mean(axis=1, keepdims=True)
        out.append((mv / mv.std(axis=1, keepdims=True)).astype(np.float32))
    return out


def coverage(spans: NDArray[np.float64]) -> Floats:
    """Share of each cell that rows of (start, end), in cells, cover; [CELLS]."""
    out = np.zeros(CELLS, np.float32)
    cells = np.arange(CELLS)
    for a, b in spans:
        lo, hi = max(0, int(a) - 1), min(CELLS, int(b) + 3)
        if lo < hi:
            c = cells[lo:hi]
            out[lo:hi] = np.maximum(out[lo:hi], np.clip(np.minimum(b, c + 0.5) - np.maximum(a, c - 0.5), 0, 1))
    return out


class DelineationExamples:
    """Draws batches; the same seed gives the same batches."""

    def __init__(self, data: Path, skip: Mapping[str, frozenset[str]], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.ludb = load_ludb(data / "ludb", skip.get("ludb", frozenset()))
        self.mitdb = load_mitdb(data / "mitdb", skip.get("mitdb", frozenset()))
        self.noise = load_noise(data / "noise")

    def marked(self, lead_budget: int = 24) -> DelineationBatch:
        """LUDB: every wave of every lead is known."""
        rng = self.rng
        n_leads = int(rng.choice([12, 8, 6, 3, 2, 1], p=[0.45, 0.1, 0.1, 0.1, 0.1, 0.15]))
        return _stack([self._marked_one(n_leads) for _ in range(max(1, lead_budget // n_leads))])

    def beats(self, lead_budget: int = 24) -> DelineationBatch:
        """MIT-BIH: beats and their class are known, waves are not."""
        n_leads = 2 if self.rng.random() < 0.7 else 1
        return _stack([self._beats_one(n_leads) for _ in range(lead_budget // n_leads)])

    def _marked_one(self, n_leads: int) -> tuple[Floats, ...]:
        rng = self.rng
        record = self.ludb[rng.integers(len(self.ludb))]
        rows = np.sort(rng.permutation(12)[:n_leads])
        stretch = _stretch(rng, wide=0.15)
        start = rng.uniform(-0.5, max(-0.4, record.mv.shape[1] / NET_FS_HZ - SAMPLES / NET_FS_HZ / stretch + 0.5))
        x = _cut(record.mv[rows], start, stretch)
        waves = np.zeros((n_leads, 4, CELLS), np.float32)
        known = np.zeros((n_leads, CELLS), np.float32)
        for k, row in enumerate(rows):
            marks = record.marks[row].copy()
            marks[:, 1:] = (marks[:, 1:] - start) * stretch / CELL_S
            if not len(marks):
                continue
            first, last = np.nanmin(marks[:, 1:]), np.nanmax(marks[:, 1:])
            known[k] = coverage(np.array([[first, last]]))
            whole = np.isfinite(marks).all(axis=1)
            for kind in (1, 2, 3):
                waves[k, kind] = coverage(marks[whole & (marks[:, 0] == kind)][:, [1, 3]])
            near = 0.15 / CELL_S
            for peak in marks[~whole, 2]:
                known[k, max(0, int(peak - near)) : max(0, int(peak + near))] = 0.0
        waves[:, 0] = np.clip(1.0 - waves[:, 1:].sum(axis=1), 0.0, 1.0)
        waves /= waves.sum(axis=1, keepdims=True)
        r = (record.beats - start) * stretch / CELL_S
        beat, beat_known = (
            _beat_target(r),
            coverage(np.array([[r.min() - 12, r.max() + 12]])) if len(r) else np.zeros(CELLS),
        )
        v_known = beat if np.isfinite(record.ventricular) else np.zeros(CELLS, np.float32)
        x = self._augment(x, mix=0.1)
        return (
            net_input(x, NET_FS_HZ)[0],
            waves,
            known,
            beat,
            beat_known.astype(np.float32),
            np.zeros(CELLS, np.float32),
            v_known,
        )

    def _beats_one(self, n_leads: int) -> tuple[Floats, ...]:
        rng = self.rng
        record = self.mitdb[rng.integers(len(self.mitdb))]
        stretch = _stretch(rng, wide=0.3)
        length = SAMPLES / NET_FS_HZ / stretch
        total = record.mv.shape[1] / NET_FS_HZ
        rare = np.flatnonzero(record.ventricular == 1)
        if len(rare) and rng.random() < 0.4:
            start = float(np.clip(record.beats[rng.choice(rare)] - rng.uniform(0, length), 0, total - length))
        else:
            start = float(rng.uniform(0, total - length))
        mv = _cut(record.mv, start, stretch)
        inside = (record.beats > start - 1) & (record.beats < start + length + 1)
        r = (record.beats[inside] - start) * stretch / CELL_S
        v = record.ventricular[inside]
        known = np.ones(CELLS, np.float32)
        for a, b in record.flutter_spans:
            known -= coverage((np.array([[a - 0.2, b + 0.2]]) - start) * stretch / CELL_S)
        if n_leads == 1:
            mv = mv[[rng.integers(len(mv))]] if rng.random() < 0.7 else _mix(mv, rng)[:1]
        elif rng.random() < 0.4:
            mv = _mix(mv, rng)
        asystole = rng.random() < 0.12 and len(r) > 3
        if asystole:
            mv, r, v = self._insert_asystole(mv, r, v)
        if rng.random() < 0.04:  # no heart at all: only noise, of which `_augment` adds more
            mv, r, v = (rng.normal(0, 0.01, mv.shape).astype(np.float32), r[:0], v[:0])
            known = np.ones(CELLS, np.float32)
        beat = _beat_target(r)
        ventricular, v_known = _beat_target(r[v == 1]), _beat_target(r[np.isfinite(v)])
        x = net_input(self._augment(mv, mix=0.0), NET_FS_HZ)[0]
        empty = np.zeros((len(x), 4, CELLS), np.float32)
        return (x, empty, np.zeros((len(x), CELLS), np.float32), beat, known, ventricular, v_known)

    def _insert_asystole(self, mv: Floats, r: Doubles, v: Doubles) -> tuple[Floats, Doubles, Doubles]:
        """Asystole: from the middle of a diastole on, for a while, the line is flat."""
        rng = self.rng
        k = int(rng.integers(1, len(r) - 1))
        a = int((r[k] + 0.7 * (r[k + 1] - r[k])) * 2)
        b = a + int(rng.uniform(1.5, 7.0) * NET_FS_HZ)
        after = np.flatnonzero(r * 2 > b)
        if len(after):
            b = int((r[after[0]] * 2) - 0.35 * NET_FS_HZ)
        a, b = max(0, a), min(SAMPLES, b)
        if b - a < 50:
            return mv, r, v
        out = mv.copy()
        left = mv[:, [a - 1]] if a else mv[:, [0]]
        right = mv[:, [b]] if b < SAMPLES else left
        ramp = np.linspace(0, 1, b - a, dtype=np.float32)
        out[:, a:b] = left + (right - left) * ramp + self.rng.normal(0, 0.004, (len(mv), b - a))
        keep = (r * 2 < a) | (r * 2 > b)
        return out, r[keep], v[keep]

    def _augment(self, mv: Floats, mix: float) -> Floats:
        """Gain, polarity, bandwidth, mains and noise."""
        rng = self.rng
        x = mv * np.exp(rng.normal(0, 0.35, (len(mv), 1))).astype(np.float32)
        if rng.random() < 0.15:
            x = x * rng.choice([-1.0, 1.0], (len(x), 1)).astype(np.float32)
        if rng.random() < mix and len(x) > 1:
            x = x + 0.4 * rng.normal(0, 1, (len(x), 1)).astype(np.float32) * x[rng.permutation(len(x))]
        if rng.random() < 0.2:  # a monitor's filter
            width = int(rng.integers(2, 5))
            kernel = np.convolve(np.full(width, 1 / width), np.full(width, 1 / width))
            x = np.stack([np.convolve(row, kernel, mode="same") for row in x]).astype(np.float32)
        at = np.arange(SAMPLES) / NET_FS_HZ
        if rng.random() < 0.15:
            hum = rng.uniform(0.02, 0.4) * np.sin(2 * np.pi * rng.choice([50.0, 60.0]) * at + rng.uniform(0, 6.3))
            x = x + (hum * rng.uniform(0.3, 1.0, (len(x), 1))).astype(np.float32)
        if rng.random() < 0.55:
            size = np.maximum(np.quantile(np.abs(x - np.median(x, axis=1, keepdims=True)), 0.98, axis=1), 0.15)
            level = rng.uniform(-4, 26) + rng.normal(0, 4, len(x))
            spared = rng.random(len(x)) < 0.25
            for _ in range(int(rng.integers(1, 3))):
                noise = self.noise[rng.choice(3, p=[0.25, 0.375, 0.375])]
                for k in range(len(x)):
                    start = int(rng.integers(0, noise.shape[1] - SAMPLES))
                    piece = noise[rng.integers(2), start : start + SAMPLES]
                    rms = size[k] / 1.6 / 10 ** (level[k] / 20)
                    if not spared[k]:
                        x[k] += piece * np.float32(rms / max(float(piece.std()), 0.05))
        if rng.random() < 0.3:
            x = x + rng.normal(0, rng.uniform(0.002, 0.04), x.shape).astype(np.float32)
        if rng.random() < 0.05:
            x[rng.integers(len(x))] = rng.normal(0, 0.005, SAMPLES)
        return x.astype(np.float32)


def _stretch(rng: np.random.Generator, wide: float) -> float:
    """Factor on time: mostly near one, sometimes far (tachycardia, bradycardia)."""
    if rng.random() < wide:
        return float(np.exp(rng.uniform(np.log(0.5), np.log(1.5))))
    return float(np.exp(rng.normal(0, 0.08)))


def _cut(mv: Floats, start: float, stretch: float) -> Floats:
    """SAMPLES from ``start`` s on, time multiplied by ``stretch``; edge values beyond the record."""
    at = (start + np.arange(SAMPLES) / NET_FS_HZ / stretch) * NET_FS_HZ
    grid = np.arange(mv.shape[1])
    lo, hi = max(0, int(at[0]) - 2), min(mv.shape[1], int(at[-1]) + 3)
    return np.stack([np.interp(at, grid[lo:hi], row[lo:hi]) for row in mv]).astype(np.float32)


def _mix(mv: Floats, rng: np.random.Generator) -> Floats:
    """Rotate two leads into each other, as another direction of the heart vector."""
    angle = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    mixed: Floats = (rotation @ mv[:2]).astype(np.float32)
    return mixed


def _beat_target(r: NDArray[np.float64]) -> Floats:
    half = BEAT_HALF_S / CELL_S
    return coverage(np.stack([r - half, r + half], axis=1)) if len(r) else np.zeros(CELLS, np.float32)


def _stack(rows: Sequence[tuple[Floats, ...]]) -> DelineationBatch:
    return DelineationBatch(*[np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)])
