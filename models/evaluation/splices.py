"""Scripted episodes at known onsets: real recordings, cut and joined so that a condition begins at a known sample.

In: recordings of MIT-BIH (a rhythm to begin with) and CUDB (fibrillation). Out: `Spliced` signals with the onset. With
folds both recordings of an episode are of one fold, and the fibrillation is the label's, clear to see or not.
* ASYSTOLE: after a T wave the line continues at its level, with the drift of a real baseline recording.
* VFIB: after a T wave the fibrillation of one recording follows, scaled to the QRS size.
* VTACH: ventricular beats of the same recording, in sequence at 160 per minute.
* EXTREME_BRADY: the recording's own beats, P to T, set apart to 36 a minute by a line between them.
* EXTREME_TACHY: the recording itself, faster: resampled to 165 beats a minute.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

from models.ecg import Ecg
from models.leads import canonical_lead
from models.signal.conditioning import fill_gaps, resample

FS_HZ = 250.0
BEFORE_S = 40.0  # rhythm before the episode
EPISODE_S = 20.0
Array = NDArray[np.float32]

# Clean stretches of a sinus rhythm: record, start (s); the patients are 9 different ones.
RHYTHMS = (
    ("101", 60),
    ("112", 300),
    ("115", 120),
    ("122", 200),
    ("220", 400),
    ("230", 700),
    ("209", 60),
    ("223", 200),
    ("119", 100),
)
# Fibrillation that every feature calls so: record, start (s).
FIBRILLATION = (
    ("cu01", 230),
    ("cu05", 376),
    ("cu07", 320),
    ("cu10", 414),
    ("cu11", 402),
    ("cu16", 290),
    ("cu22", 420),
    ("cu23", 360),
    ("cu24", 382),
    ("cu29", 385),
)
ECTOPIC = ("106", "119", "201", "203", "205", "208", "215", "223")
BASELINE_NOISE = "bw"
LABEL_S, SHOCKABLE_S = (
    10.0,
    35.0,
)  # labels are known to 5 s: fibrillation from this long after its label on, of spans as long
CU_FOLDS = 5  # `models.training.rhythm_folds`: a CUDB record is in the fold of its number


@dataclass(frozen=True)
class Spliced:
    """A recording with an episode from sample ``onset`` on; ``name`` names its sources, ``fold`` is theirs."""

    code: str
    name: str
    ecg: Ecg
    onset: int
    fold: int | None = None

    @property
    def onset_s(self) -> float:
        """Onset in seconds from the first sample."""
        return self.onset / self.ecg.fs_hz


def scripted(data: Path, folds: Mapping[str, int] | None = None) -> list[Spliced]:
    """Every scripted episode, five codes; the same ones each time.

    Parameters
    ----------
    data : Path
        Folder of the recordings.
    folds : mapping, optional
        MIT-BIH record to its fold: the fibrillation is then of the same fold, whatever it looks like.
    """
    rng = np.random.default_rng(7)
    out: list[Spliced] = []
    makers: tuple[tuple[str, Callable[..., tuple[Array, int] | None]], ...] = (
        ("ASYSTOLE", _line),
        ("VFIB", _fibrillation),
        ("EXTREME_BRADY", _slow),
        ("EXTREME_TACHY", _fast),
    )
    drift = _signal(data / "noise" / BASELINE_NOISE)
    for k, (name, start_s) in enumerate(RHYTHMS):
        path = data / "mitdb" / "data" / name
        if not path.with_suffix(".hea").exists():
            continue
        mv, leads = _signal(path), _leads(path)
        beats = _beats(path)[0]
        fold = None if folds is None else folds[name]
        source, at = FIBRILLATION[k] if fold is None else _labelled_fibrillation(data, fold, k)
        vf = _signal(data / "cudb" / source)[0, at * 250 : (at + 20) * 250]
        for code, make in makers:
            made = make(mv, beats, round(start_s * FS_HZ), rng, drift=drift, vf=vf)
            if made is not None:
                title = f"{name}+{source}" if code == "VFIB" else name
                out.append(Spliced(code, title, Ecg(leads, FS_HZ, made[0]), made[1], fold))
    for name in ECTOPIC:
        path = data / "mitdb" / "data" / name
        if path.with_suffix(".hea").exists():
            mv, onset = _ventricular(_signal(path), *_beats(path), rng)
            fold = None if folds is None else folds[name]
            out.append(Spliced("VTACH", name, Ecg(_leads(path), FS_HZ, mv), onset, fold))
    return out


def _labelled_fibrillation(data: Path, fold: int, k: int) -> tuple[str, int]:
    """Record and start (s) of the ``k``-th CUDB span of a fold that is labelled long enough."""
    with (data / "cudb" / "rhythms.csv").open() as f:
        spans = [
            (row["record"], round(float(row["start_s"]) + LABEL_S))
            for row in csv.DictReader(f)
            if row["label"] == "S"
            and float(row["end_s"]) - float(row["start_s"]) >= SHOCKABLE_S
            and int(row["record"].removeprefix("cu")) % CU_FOLDS == fold
        ]
    return spans[k % len(spans)]


def _signal(path: Path) -> Array:
    record = wfdb.rdrecord(str(path))
    return resample(fill_gaps(record.p_signal.T.astype(np.float32))[0], float(record.fs), FS_HZ)


def _leads(path: Path) -> tuple[str, ...]:
    return tuple(canonical_lead(name) for name in wfdb.rdheader(str(path)).sig_name)


def _beats(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All beats, and the ventricular ones."""
    marks = wfdb.rdann(str(path), "atr")
    at = (np.asarray(marks.sample) * FS_HZ / 360.0).round().astype(np.int64)
    kinds = np.array(marks.symbol)
    return at[np.isin(kinds, list("NLRBAaJSVrFejnE/fQ"))], at[kinds == "V"]


def _joint(beats: NDArray[np.int64], start: int) -> tuple[int, int]:
    """The last beat before the episode, and the sample after its T wave where the episode is joined on."""
    end = start + round(BEFORE_S * FS_HZ)
    r = int(beats[np.searchsorted(beats, end) - 1])
    return r, r + round(0.48 * FS_HZ)


def _line(
    mv: Array, beats: NDArray[np.int64], start: int, rng: np.random.Generator, *, drift: Array, vf: Array
) -> tuple[Array, int]:
    r, joint = _joint(beats, start)
    n = round(EPISODE_S * FS_HZ)
    at = int(rng.integers(drift.shape[1] - n))
    slow = drift[np.arange(len(mv)) % len(drift), at : at + n]
    line = mv[:, joint, None] + 0.1 * (slow - slow[:, :1])
    return np.hstack([mv[:, start:joint], line]).astype(np.float32), r - start


def _fibrillation(
    mv: Array, beats: NDArray[np.int64], start: int, rng: np.random.Generator, *, drift: Array, vf: Array
) -> tuple[Array, int]:
    _, joint = _joint(beats, start)
    part = mv[:, start:joint]
    size = np.percentile(np.abs(part - np.median(part, axis=1, keepdims=True)), 99, axis=1, keepdims=True)
    unit = vf / max(float(np.percentile(np.abs(vf), 98)), 1e-6)
    waves = unit * np.float32(0.7) * size * np.array([[1.0], [-0.8]])[: len(mv)]
    waves = waves - waves[:, :1] + part[:, -1:]
    return np.hstack([part, waves]).astype(np.float32), joint - start


def _slow(
    mv: Array, beats: NDArray[np.int64], start: int, rng: np.random.Generator, *, drift: Array, vf: Array
) -> tuple[Array, int]:
    r, _ = _joint(beats, start)
    before, after, rr = round(0.24 * FS_HZ), round(0.48 * FS_HZ), round(60.0 / 36.0 * FS_HZ)
    k = int(np.searchsorted(beats, r))
    pieces, level = [mv[:, start : r + after]], mv[:, r + after - 1, None]
    for beat in beats[k + 1 : k + 13]:
        piece = mv[:, beat - before : beat + after]
        rest = rr - piece.shape[1]
        ramp = np.linspace(0.0, 1.0, rest)[None]
        pieces += [(level + (piece[:, :1] - level) * ramp).astype(np.float32), piece]
        level = piece[:, -1:]
    return np.hstack(pieces).astype(np.float32), r - start


def _fast(
    mv: Array, beats: NDArray[np.int64], start: int, rng: np.random.Generator, *, drift: Array, vf: Array
) -> tuple[Array, int] | None:
    r, joint = _joint(beats, start)
    later = beats[(beats > r) & (beats < r + 60 * FS_HZ)]
    rate = 60.0 * (len(later) - 1) * FS_HZ / float(later[-1] - later[0])
    source = mv[:, joint : joint + round(EPISODE_S * 165.0 / rate * FS_HZ)]
    fast = resample(source, 165.0 / rate * 250.0, 250.0)
    first = int(beats[np.searchsorted(beats, joint)] - joint) * rate / 165.0
    return np.hstack([mv[:, start:joint], fast]).astype(np.float32), joint - start + round(first)


def _ventricular(
    mv: Array, beats: NDArray[np.int64], ventricular: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Array, int]:
    """Single ventricular beats of the recording in sequence, after forty seconds of it."""
    rr, before = round(60.0 / 160.0 * FS_HZ), round(0.14 * FS_HZ)
    calm = [
        int(b) for b in beats if b > 60 * FS_HZ and not ((ventricular > b - 3 * FS_HZ) & (ventricular < b + 300)).any()
    ]
    r = calm[len(calm) // 2]
    start = r - round(BEFORE_S * FS_HZ)
    pieces = [mv[:, start : r + round(0.36 * FS_HZ)]]
    onset = pieces[0].shape[1] + before
    for v in rng.choice(ventricular[(ventricular > 1000) & (ventricular < mv.shape[1] - 1000)], 40):
        piece = mv[:, v - before : v - before + rr]
        step = pieces[-1][:, -1:] - piece[:, :1]
        pieces.append((piece + step * np.linspace(1.0, 0.0, rr)[None] ** 2).astype(np.float32))
    return np.hstack(pieces).astype(np.float32), onset
