"""Windows and labels of the rhythm network: annotated recordings, and splices of them.

In: the data folder (``cinc2015``, ``cinc2017``, ``mitdb``, ``cudb``, ``noise``) and the folds folder (CSV files with
the columns record, fold). Out: `RhythmWindows`: 16 s at 100 Hz of one or two leads, with a target and a weight for each
output of the network.

CinC 2015 labels its alarms at 300 s only; other windows of those records are weak negatives. Rare rhythms are also
synthesised from real signal: ventricular tachycardia from single ventricular beats of the same recording, fibrillation
of one recording after another's rhythm, and asystole as a flat line with drift and noise.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import wfdb
from numpy.typing import NDArray

from models.arrhythmia.fibrillation_features import FEATURES, fibrillation_features
from models.networks.rhythm import FS_HZ, OUTPUTS, SAMPLES
from models.networks.scaling import net_input
from models.signal.conditioning import fill_gaps, resample

Array = NDArray[np.float32]
AF, NOISE, VT, VF, ASYSTOLE = range(len(OUTPUTS))
BEATS = "NLRBAaJSVrFejnE/fQ?"
ALARM_S = 300.0
WEAK = 0.15  # weight of a window without an annotation of its own
JITTER_S = 3.0  # an alarm's window may end this much before the alarm
CU_WINDOW_S = 4.0  # of the fibrillation features


@dataclass
class RhythmRecord:
    """One recording at 100 Hz: source, millivolts [leads, samples], label and annotations."""

    source: str
    name: str
    mv: Array
    label: str = ""
    truth: bool = False
    ventricular: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    normal: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.mv.shape[1])


@dataclass
class RhythmWindows:
    """A batch: x [n, 2, samples], leads present [n, 2], amplitude [n, 2], targets and weights [n, outputs]."""

    x: Array
    present: Array
    amplitude: Array
    target: Array
    weight: Array


class RhythmCorpus:
    """Training recordings of a fold: all but those of ``fold``; every one where ``fold`` is None.

    Parameters
    ----------
    data, folds : Path
        Folders of the recordings and of the fold tables.
    fold : int or None
        Left out of training.
    held_out : bool
        Load that fold alone instead, for evaluation.
    """

    def __init__(self, data: Path, folds: Path, fold: int | None, held_out: bool = False) -> None:
        self._data, self._folds, self._fold, self._held_out = data, folds, fold, held_out
        self.alarms = self._cinc2015()
        self.handheld = self._cinc2017()
        self.holter = self._mitdb()
        self.fibrillating = [] if held_out else self._cudb()
        self.noise = [
            _load(data / "noise" / name)
            for name in ("em_recovered", "ma", "bw")
            if (data / "noise" / f"{name}.hea").exists()
        ]

    def _wanted(self, source: str) -> set[str] | None:
        """Names of the records to use; None: all."""
        if self._fold is None:
            return None
        with (self._folds / f"{source}.csv").open() as f:
            rows = list(csv.DictReader(f))
        return {r["record"] for r in rows if (int(r["fold"]) == self._fold) == self._held_out}

    def _cinc2015(self) -> list[RhythmRecord]:
        folder, wanted, out = self._data / "cinc2015", self._wanted("cinc2015"), []
        with (folder / "manifest.csv").open() as f:
            for row in csv.DictReader(f):
                if wanted is None or row["record"] in wanted:
                    mv = _load(folder / "records" / row["record"], stop_s=ALARM_S)
                    out.append(RhythmRecord("cinc2015", row["record"], mv, row["record"][0], row["true_alarm"] == "1"))
        return out

    def _cinc2017(self) -> list[RhythmRecord]:
        folder, wanted, out = self._data / "cinc2017", self._wanted("cinc2017"), []
        with (folder / "manifest.csv").open() as f:
            rows = list(csv.DictReader(f))
        with soundfile.SoundFile(str(next(folder.glob("cinc2017_*.flac")))) as flac:
            for row in rows:
                if wanted is None or row["record"] in wanted:
                    flac.seek(int(row["start"]))
                    x = flac.read(int(row["length"]), dtype="int16").astype(np.float32) / 1000.0
                    out.append(RhythmRecord("cinc2017", row["record"], resample(x[None], 300.0, FS_HZ), row["label"]))
        return out

    def _mitdb(self) -> list[RhythmRecord]:
        folder, wanted, out = self._data / "mitdb" / "data", self._wanted("mitdb"), []
        for header in sorted(folder.glob("*.hea")):
            if wanted is None or header.stem in wanted:
                out.append(_holter(header.with_suffix("")))
        return out

    def _cudb(self) -> list[RhythmRecord]:
        return [_cu(header.with_suffix("")) for header in sorted((self._data / "cudb").glob("*.hea"))]


def _load(path: Path, stop_s: float | None = None) -> Array:
    record = wfdb.rdrecord(str(path))
    rows = [k for k, unit in enumerate(record.units) if unit == "mV"]
    stop = None if stop_s is None else int(stop_s * record.fs)
    mv = record.p_signal[:stop, rows].T.astype(np.float32)
    return resample(fill_gaps(mv)[0], float(record.fs), FS_HZ)


def _holter(path: Path) -> RhythmRecord:
    """A MIT-BIH recording with its beats, runs of ventricular beats, flutter waves and atrial fibrillation."""
    mv, marks = _load(path), wfdb.rdann(str(path), "atr")
    scale = FS_HZ / 360.0
    at = (np.asarray(marks.sample) * scale).round().astype(np.int64)
    beats = [(int(s), y) for s, y in zip(at, marks.symbol, strict=True) if y in BEATS]
    spans: dict[str, list[tuple[int, int]]] = {"VT": [], "RUN": [], "VF": [], "AF": []}
    run: list[int] = []
    for s, y in [*beats, (int(mv.shape[1]), "N")]:
        if y in "VE":
            run.append(s)
            continue
        if len(run) >= 3:
            fast = 60.0 * (len(run) - 1) * FS_HZ / (run[-1] - run[0]) > 100.0
            spans["VT" if fast and len(run) >= 5 else "RUN"].append((run[0], run[-1]))
        run = []
    starts = [int(s) for s, y in zip(at, marks.symbol, strict=True) if y == "["]
    ends = [int(s) for s, y in zip(at, marks.symbol, strict=True) if y == "]"]
    spans["VF"] = list(zip(starts, ends, strict=False))
    rhythm = [(int(s), a.strip("\0")) for s, y, a in zip(at, marks.symbol, marks.aux_note, strict=True) if y == "+"]
    for (s, name), (e, _) in zip(rhythm, [*rhythm[1:], (int(mv.shape[1]), "")], strict=True):
        if name.startswith(("(AFIB", "(AFL")):
            spans["AF"].append((s, e))
    kinds = np.array([y for _, y in beats])
    where = np.array([s for s, _ in beats], np.int64)
    return RhythmRecord(
        "mitdb",
        path.name,
        mv,
        ventricular=where[np.isin(kinds, ["V", "E"])],
        normal=where[np.isin(kinds, ["N", "L", "R"])],
        spans=spans,
    )


def _cu(path: Path) -> RhythmRecord:
    """A CU recording; its fibrillation is not annotated, so only segments where every feature indicates it are used."""
    mv = _load(path)
    window = round(CU_WINDOW_S * FS_HZ)
    ends = np.arange(window, mv.shape[1], round(FS_HZ))
    f = dict(
        zip(FEATURES, np.array([fibrillation_features(mv[:, e - window : e], FS_HZ)[0] for e in ends]).T, strict=True)
    )
    vf = (f["leakage"] < 0.62) & (f["rest_share"] < 0.36) & (f["rms_mv"] > 0.04)
    vf &= (f["kurtosis"] < 5) & (f["low_share"] > 0.4)
    share = np.convolve(vf, np.full(11, 1 / 11), "same")
    sure = [(int(e) - window, int(e)) for e, s in zip(ends, share, strict=True) if s > 0.75]
    clear_until = int(ends[np.argmax(share > 0.2)]) - 20 * round(FS_HZ) if (share > 0.2).any() else int(mv.shape[1])
    return RhythmRecord("cudb", path.name, mv, spans={"VF": sure, "CLEAR": [(0, clear_until)]})


class RhythmSampler:
    """Draws windows of a corpus; the same seed draws the same windows."""

    def __init__(self, corpus: RhythmCorpus, seed: int) -> None:
        self.corpus = corpus
        self._rng = np.random.default_rng(seed)
        self._ectopic = [r for r in corpus.holter if len(r.ventricular) > 20]
        self._vf = [(r, s) for r in corpus.fibrillating for s in r.spans["VF"]]

    def epoch(self) -> list[tuple[str, int]]:
        """Windows of one epoch, shuffled: kind of window and index of its record."""
        c = self.corpus
        plan = [("alarm", k) for k, r in enumerate(c.alarms) for _ in range(5 if r.label in "v" else 3)]
        plan += [("negative", k) for k in range(len(c.alarms)) for _ in range(2)]
        plan += [("handheld", k) for k in range(len(c.handheld))]
        plan += [("holter", k) for k in range(len(c.holter)) for _ in range(35)]
        plan += [
            ("run", k) for k, r in enumerate(c.holter) for _ in range(12 * len(r.spans["VT"]) + 8 * len(r.spans["VF"]))
        ]
        plan += [("cu", k) for k in range(len(c.fibrillating)) for _ in range(14)]
        plan += [("spliced_vt", k % len(self._ectopic)) for k in range(500)]
        plan += [("spliced_vf", k % len(self._vf)) for k in range(250)] if self._vf else []
        plan += [("spliced_line", k % len(c.alarms)) for k in range(450)]
        self._rng.shuffle(plan)  # type: ignore[arg-type]
        return [(str(a), int(b)) for a, b in plan]

    def batch(self, plan: list[tuple[str, int]]) -> RhythmWindows:
        """Windows of a part of the epoch's plan."""
        drawn = [getattr(self, f"_{kind}")(k) for kind, k in plan]
        x = np.zeros((len(drawn), 2, SAMPLES), np.float32)
        present, amplitude = np.zeros((len(drawn), 2), np.float32), np.zeros((len(drawn), 2), np.float32)
        for row, (mv, _, _) in enumerate(drawn):
            mv = self._augment(mv)
            keep = self._rng.permutation(len(mv))[:2]
            if len(keep) == 2 and self._rng.random() < 0.3:
                keep = keep[:1]
            x[row, : len(keep)], unit_mv = net_input(mv[keep], FS_HZ)
            amplitude[row, : len(keep)] = np.log10(unit_mv[:, 0])
            present[row, : len(keep)] = 1.0
        return RhythmWindows(x, present, amplitude, np.stack([d[1] for d in drawn]), np.stack([d[2] for d in drawn]))

    def _augment(self, mv: Array) -> Array:
        out = mv * np.float32(np.exp(self._rng.normal(0, 0.25)))
        if self._rng.random() < 0.5:
            out = -out
        if self.corpus.noise and self._rng.random() < 0.25:
            noise = self.corpus.noise[self._rng.integers(len(self.corpus.noise))]
            at = self._rng.integers(noise.shape[1] - out.shape[1])
            piece = noise[self._rng.integers(len(noise)), at : at + out.shape[1]]
            size = np.std(out) / max(float(np.std(piece)), 1e-6)
            out = out + np.float32(size * self._rng.uniform(0.05, 0.35)) * piece
        return out.astype(np.float32)

    @staticmethod
    def _labels(**known: tuple[float, float]) -> tuple[Array, Array]:
        target, weight = np.zeros(len(OUTPUTS), np.float32), np.zeros(len(OUTPUTS), np.float32)
        for name, (value, certainty) in known.items():
            k = {"af": AF, "noise": NOISE, "vt": VT, "vf": VF, "asystole": ASYSTOLE}[name]
            target[k], weight[k] = value, certainty
        return target, weight

    def _window(self, record: RhythmRecord, end: int) -> Array:
        start = end - SAMPLES
        part = record.mv[:, max(0, start) : end]
        return np.pad(part, ((0, 0), (SAMPLES - part.shape[1], 0))) if part.shape[1] < SAMPLES else part

    def _alarm(self, k: int) -> tuple[Array, Array, Array]:
        record = self.corpus.alarms[k]
        return alarm_window(record, self._rng.uniform(0, JITTER_S))

    def _negative(self, k: int) -> tuple[Array, Array, Array]:
        record = self.corpus.alarms[k]
        end = int(self._rng.uniform(20, 284) * FS_HZ)
        sure = WEAK / 3 if record.label in "vf" else WEAK
        return self._window(record, end), *self._labels(vt=(0, sure), vf=(0, sure), asystole=(0, sure))

    def _handheld(self, k: int) -> tuple[Array, Array, Array]:
        record = self.corpus.handheld[k]
        end = int(self._rng.integers(min(SAMPLES, record.n), record.n + 1))
        noisy = record.label == "~"
        labels = self._labels(
            af=(float(record.label == "A"), 0.3 if noisy else 1.0),
            noise=(float(noisy), 1.0),
            vt=(0, WEAK),
            vf=(0, WEAK),
            asystole=(0, WEAK),
        )
        return self._window(record, end), *labels

    def _holter(self, k: int) -> tuple[Array, Array, Array]:
        record = self.corpus.holter[k]
        return holter_window(record, int(self._rng.integers(SAMPLES, record.n)))

    def _run(self, k: int) -> tuple[Array, Array, Array]:
        record = self.corpus.holter[k]
        spans = record.spans["VT"] + record.spans["VF"]
        start, stop = spans[self._rng.integers(len(spans))]
        end = int(self._rng.integers(min(start + 450, stop), stop + 400))
        return holter_window(record, int(np.clip(end, SAMPLES, record.n)))

    def _cu(self, k: int) -> tuple[Array, Array, Array]:
        record = self.corpus.fibrillating[k]
        if self._rng.random() < 0.5 or not record.spans["VF"]:
            high = max(SAMPLES + 1, record.spans["CLEAR"][0][1])
            known = self._labels(vf=(0, 0.5), asystole=(0, WEAK), vt=(0, WEAK / 3))
            return self._window(record, int(self._rng.integers(SAMPLES, high))), *known
        end = record.spans["VF"][self._rng.integers(len(record.spans["VF"]))][1]
        return self._window(record, end), *self._labels(vf=(1, 1.0), asystole=(0, 1.0), af=(0, 0.1))

    def _spliced_vt(self, k: int) -> tuple[Array, Array, Array]:
        """Single ventricular beats of a recording in sequence, after its normal rhythm."""
        record = self._ectopic[k]
        beats = int(self._rng.integers(2, 16))
        window = self._window(record, int(self._rng.integers(SAMPLES, record.n))).copy()
        rr = 60.0 / self._rng.uniform(110, 220) * FS_HZ
        at = SAMPLES - self._rng.uniform(20, 120) - beats * rr
        for _ in range(beats):
            v = int(self._rng.choice(record.ventricular))
            before = int(0.35 * rr)
            piece = record.mv[:, max(0, v - before) : v - before + int(rr)]
            place = max(0, round(at - before))
            width = min(piece.shape[1], SAMPLES - place)
            piece = piece[:, :width]
            if width > 5:  # continuous with its neighbours
                ramp = np.linspace(0, 1, width, dtype=np.float32)
                step = window[:, max(0, place - 1), None] - piece[:, :1]
                window[:, place : place + width] = piece + step * (1 - ramp)
            at += rr
        vt = float(beats >= 5)
        sure = 0.0 if beats in (3, 4) else 0.6
        known = self._labels(vt=(vt, sure), vf=(0, 0.3 if beats < 5 else 0.0), asystole=(0, 0.5))
        return window, *known

    def _spliced_vf(self, k: int) -> tuple[Array, Array, Array]:
        """Fibrillation of one recording after the rhythm of another."""
        source, (_, stop) = self._vf[int(self._rng.integers(len(self._vf)))]
        record = self._any_rhythm()
        window = self._window(record, int(self._rng.integers(SAMPLES, record.n))).copy()
        length = int(self._rng.uniform(3.6, 10) * FS_HZ)
        start = max(0, stop - length)
        piece = source.mv[0, start:stop]
        size = np.percentile(np.abs(window), 98) / max(float(np.percentile(np.abs(piece), 98)), 1e-6)
        for row in window:
            gain = np.float32(size * self._rng.uniform(0.4, 1.2) * self._rng.choice([-1, 1]))
            row[-len(piece) :] = gain * (piece - piece[0]) + row[-len(piece) - 1]
        return window, *self._labels(vf=(1, 1.0), asystole=(0, 1.0))

    def _spliced_line(self, k: int) -> tuple[Array, Array, Array]:
        """Flat line after a rhythm: asystole in all leads; counter-examples: in one lead, or merely smaller beats."""
        record = self._any_rhythm()
        window = self._window(record, int(self._rng.integers(SAMPLES, record.n))).copy()
        length = int(self._rng.uniform(3.4, 9) * FS_HZ)
        kind = self._rng.choice(["all", "one", "small"], p=[0.55, 0.2, 0.25])
        if kind == "one" and len(window) < 2:
            kind = "small"
        level = window[:, -length - 1, None].copy()
        if kind == "small":
            gain = np.float32(self._rng.uniform(0.15, 0.5))
            part = window[:, -length:]
            window[:, -length:] = level + (part - np.median(part, axis=1, keepdims=True)) * gain
            return window, *self._labels(asystole=(0, 1.0), vf=(0, WEAK), vt=(0, WEAK))
        rows = range(len(window)) if kind == "all" else [int(self._rng.integers(len(window)))]
        for row in rows:
            drift = np.cumsum(self._rng.normal(0, self._rng.uniform(0, 0.004), length))
            hiss = self._rng.normal(0, self._rng.uniform(0, 0.015), length)
            window[row, -length:] = level[row] + (drift + hiss).astype(np.float32)
        return window, *self._labels(asystole=(float(kind == "all"), 1.0), vf=(0, 1.0), vt=(0, 1.0))

    def _any_rhythm(self) -> RhythmRecord:
        pool = self.corpus.holter if self._rng.random() < 0.6 else [r for r in self.corpus.alarms if r.label in "bt"]
        return pool[int(self._rng.integers(len(pool)))]


def alarm_window(record: RhythmRecord, before_s: float = 0.0) -> tuple[Array, Array, Array]:
    """Window that ends ``before_s`` before an alarm of CinC 2015, with target and weight by its label."""
    end = record.n - int(before_s * FS_HZ)
    part = record.mv[:, end - SAMPLES : end]
    truth, weak = float(record.truth), WEAK * 2
    known: dict[str, dict[str, tuple[float, float]]] = {
        "v": {"vt": (truth, 1.0), "vf": (0, 0.0 if record.truth else 0.5), "asystole": (0, weak)},
        "f": {"vf": (truth, 1.0), "vt": (0, 0.0 if record.truth else 0.5), "asystole": (0, weak)},
        "a": {"asystole": (truth, 1.0), "vt": (0, weak), "vf": (0, weak)},
        "b": {"asystole": (0, weak), "vt": (0, weak), "vf": (0, weak)},
        "t": {"asystole": (0, weak), "vt": (0, weak / 3), "vf": (0, weak)},
    }
    return part, *RhythmSampler._labels(**known[record.label])


def holter_window(record: RhythmRecord, end: int) -> tuple[Array, Array, Array]:
    """16 s of a MIT-BIH recording that end at sample ``end``, with target and weight by its annotations."""
    start, newest = end - SAMPLES, end - int(12 * FS_HZ)

    def covered(name: str) -> float:
        return sum(max(0, min(e, end) - max(s, start)) for s, e in record.spans[name]) / SAMPLES

    def within(name: str) -> float:
        return max((min(e, end) - max(s, newest) for s, e in record.spans[name]), default=0) / FS_HZ

    vt_s, vf_s, af = within("VT"), within("VF"), covered("AF")
    known = {"asystole": (0.0, 1.0)}
    known["af"] = (1.0, 1.0) if af > 0.9 else (0.0, 1.0 if af == 0 else 0.0)
    known["vf"] = (1.0, 1.0) if vf_s > 3.8 else (0.0, 1.0 if vf_s <= 0 else 0.0)
    known["vt"] = (1.0, 1.0) if vt_s > 2.2 else (0.0, 1.0 if vt_s <= 0 and vf_s <= 0 else 0.0)
    return record.mv[:, start:end], *RhythmSampler._labels(**known)
