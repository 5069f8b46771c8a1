"""The corpora: real 12-lead and single-lead records with their labels, split by patient, as 10-s windows at 500 Hz.

In: the folder of recordings (see the model card) and LUDB's folds. Out: `CorpusRecord`s.

Splits, respected by every command of this package:

* PTB-XL part: folds 1–6 train, 7 tune, 8 report. Z-scored per lead, so shape and time only: the windows are brought to
  `PTBXL_MV` per unit, and nothing that is trained on them may use millivolts.
* LUDB: fold 4 of the committed folds reports, the others train.
* The 12-lead samples of the 2021 Challenge train; those from PTB-XL are left out: their patients may be in folds 7–8.
* CinC 2017 (one lead, no patient numbers): its fold 4 reports, the others train; lead I, the rest absent.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.corpus.finding_labels import FindingLabels, of_challenge, of_ludb, of_scp
from models.ecg import Ecg
from models.leads import STANDARD_12
from models.records import read_record
from models.signal.conditioning import resample, to_twelve

TRAIN, TUNE, REPORT = "train", "tune", "report"
FS_HZ, SAMPLES = 500.0, 5000
PTBXL_MV = 0.2  # millivolts that one standard deviation of a lead is taken for
PTBXL_FS_HZ, PTBXL_UNITS = 250.0, 200.0
CINC2017_FS_HZ, CINC2017_UNITS = 300.0, 1000.0
_PTBXL_SPLIT = {**dict.fromkeys(range(1, 7), TRAIN), 7: TUNE, 8: REPORT}
_LUDB_REPORT_FOLD = 4


@dataclass(frozen=True, eq=False)
class CorpusRecord:
    """One window of one patient.

    Attributes
    ----------
    key : str
        ``<set>/<record>``.
    split : str
        ``train``, ``tune`` or ``report``.
    ecg : Ecg
        500 Hz, 5000 samples; only the leads that were recorded.
    labels : dict
        Finding to True or False; what the data set does not say is not in it.
    millivolts : bool
        False: per-lead scale is unknown.
    report : str
        The reference's own words, for text.
    """

    key: str
    split: str
    ecg: Ecg
    labels: FindingLabels
    millivolts: bool
    report: str = ""

    @property
    def source(self) -> str:
        """Name of the data set: the first part of the key."""
        return self.key.split("/")[0]


def twelve(ecg: Ecg) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """[12, 5000] mV at 500 Hz with zeros where nothing was recorded, and which leads were."""
    mv, present = to_twelve(ecg, FS_HZ)
    out = np.zeros((12, SAMPLES), np.float32)
    out[:, : min(SAMPLES, mv.shape[1])] = mv[:, :SAMPLES]
    return out, present


def real_records(data: Path, folds: Path) -> Iterator[CorpusRecord]:
    """Every record of every set, lazily.

    Parameters
    ----------
    data : Path
        Folder with ``ptbxl``, ``ludb``, ``twelve_lead_samples``, ``cinc2017``; a set that is not there is skipped.
    folds : Path
        Folder with ``ludb.csv`` and ``cinc2017.csv`` (columns record, fold).
    """
    for name, read in (("ptbxl", ptbxl), ("twelve_lead_samples", samples)):
        if (data / name).is_dir():
            yield from read(data)
    if (data / "ludb").is_dir():
        yield from ludb(data, folds)
    if (data / "cinc2017").is_dir():
        yield from cinc2017(data, folds)


def ptbxl(data: Path) -> Iterator[CorpusRecord]:
    """The PTB-XL part, with labels from its SCP codes."""
    import soundfile

    with soundfile.SoundFile(data / "ptbxl" / "ptbxl_dev.flac") as file:
        for row in _rows(data / "ptbxl" / "manifest.csv"):
            n = 12 * round(10 * PTBXL_FS_HZ)
            file.seek(int(row["row"]) * n)
            mv = file.read(n, dtype="int16").reshape(12, -1).astype(np.float32) / PTBXL_UNITS * PTBXL_MV
            ecg = Ecg(STANDARD_12, FS_HZ, resample(mv, PTBXL_FS_HZ, FS_HZ)[:, :SAMPLES], sex=_sex(row["sex"]))
            labels = of_scp(json.loads(row["scp_codes"]), row["superclass"], row["rhythm"])
            split = _PTBXL_SPLIT[int(row["strat_fold"])]
            yield CorpusRecord(f"ptbxl/{row['ecg_id']}", split, ecg, labels, False, row["report"])


def ludb(data: Path, folds: Path) -> Iterator[CorpusRecord]:
    """LUDB: true millivolts, diagnoses by cardiologists."""
    fold = {row["record"]: int(row["fold"]) for row in _rows(folds / "ludb.csv")}
    for row in _rows(data / "ludb" / "manifest.csv"):
        split = REPORT if fold[row["record"]] == _LUDB_REPORT_FOLD else TRAIN
        ecg = _window(read_record(data / "ludb" / "data" / row["record"]), row["sex"])
        words = "; ".join(
            row[k] for k in ("rhythm", "axis", "conduction", "extrasystoles", "ischemia", "repolarization") if row[k]
        )
        yield CorpusRecord(f"ludb/{row['record']}", split, ecg, of_ludb(row), True, words)


def samples(data: Path) -> Iterator[CorpusRecord]:
    """Twelve-lead samples of the 2021 Challenge and CODE-15, without those of PTB-XL."""
    for row in _rows(data / "twelve_lead_samples" / "manifest.csv"):
        if row["source"] == "PTB-XL":
            continue
        ecg = _window(read_record(data / "twelve_lead_samples" / "records" / row["record"]), row["sex"])
        yield CorpusRecord(f"samples/{row['record']}", TRAIN, ecg, of_challenge(row["dx"]), True, row["dx"])


def cinc2017(data: Path, folds: Path) -> Iterator[CorpusRecord]:
    """CinC 2017 hand-held lead I: normal and AF rhythms; what is other or noisy teaches neither."""
    import soundfile

    fold = {row["record"]: int(row["fold"]) for row in _rows(folds / "cinc2017.csv")}
    with soundfile.SoundFile(data / "cinc2017" / "cinc2017_dev.flac") as file:
        for row in _rows(data / "cinc2017" / "manifest.csv"):
            length = int(row["length"])
            if row["label"] not in ("N", "A") or length < 10 * CINC2017_FS_HZ:
                continue
            file.seek(int(row["start"]) + (length - round(10 * CINC2017_FS_HZ)) // 2)
            mv = file.read(round(10 * CINC2017_FS_HZ), dtype="int16").astype(np.float32)[None] / CINC2017_UNITS
            ecg = Ecg(("I",), FS_HZ, resample(mv, CINC2017_FS_HZ, FS_HZ)[:, :SAMPLES])
            fibrillates = row["label"] == "A"
            split = REPORT if fold[row["record"]] == 4 else TRAIN
            yield CorpusRecord(
                f"cinc2017/{row['record']}", split, ecg, {"AFIB": fibrillates, "SINUS": not fibrillates}, True
            )


def _window(ecg: Ecg, sex: str) -> Ecg:
    mv = resample(ecg.mv, ecg.fs_hz, FS_HZ)[:, :SAMPLES]
    return Ecg(ecg.leads, FS_HZ, mv, sex=_sex(sex))


def _sex(word: str) -> str:
    return word[:1].upper() if word[:1].upper() in ("F", "M") else ""


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
