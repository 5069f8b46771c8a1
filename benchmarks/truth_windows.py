"""The windows of `benchmarks.truth`: 10 s of real recordings, chosen evenly by a seed, with what their references say.

In: the folder of recordings. Out: `Window`s. A recording is either of the development part or of the final part, never
of both. The references are those of the data sets: diagnoses of LUDB, SCP codes of PTB-XL, classes of the 2021 samples,
beats and rhythms of MIT-BIH, true alarms of CinC 2015, rhythm intervals of CUDB and VFDB.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from models.corpus.datasets import PTBXL_FS_HZ, PTBXL_MV, PTBXL_UNITS

SEED = 14
WINDOW_S = 10.0
AF, NOT_AF, LETHAL, ECTOPY, BLOCK, ABNORMAL = "AF", "no AF", "lethal", "ventricular beats", "block", "abnormal"
SERIOUS = "serious"  # a normal ECG over it is dangerous
NORMAL = "normal"
RECORDS = {  # development, final; of MIT-BIH and the ICU sets each record gives several windows
    "ludb": (40, 80),
    "ptbxl": (40, 120),
    "samples": (20, 50),
    "mitdb": (8, 17),
    "cinc2015": (60, 120),
    "cudb": (8, 17),
    "vfdb": (4, 9),
}
MITDB_WINDOWS, MITDB_S = 6, 1800.0
ICU_WINDOWS = 2


@dataclass(frozen=True, slots=True)
class Window:
    """Ten seconds of a recording, from ``start_s``, and what its references say (the constants above)."""

    source: str
    record: Path
    start_s: float
    says: frozenset[str]


def chosen(names: list[str], source: str, part: str) -> list[str]:
    """The records of a part, in a seeded order: the first ones are for development."""
    shuffled = sorted(names)
    Random(f"{SEED} {source}").shuffle(shuffled)
    develop, final = RECORDS[source]
    return shuffled[:develop] if part == "dev" else shuffled[develop : develop + final]


def windows(data: Path, scratch: Path, part: str, sources: list[str]) -> Iterator[Window]:
    """The windows of a part.

    Parameters
    ----------
    data : Path
        Folder of the sets.
    scratch : Path
        Folder in which the windows of PTB-XL are written as WFDB records.
    part : {"dev", "final"}
    sources : list of str
        Sets, of `RECORDS`.
    """
    for source in sources:
        yield from _OF[source](data, scratch, part)


def _rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row.get("ecg_id") or row["record"]: row for row in csv.DictReader(file)}


def _says(
    *, af: bool | None = None, abnormal: bool | None = None, serious: bool = False, block: bool = False
) -> set[str]:
    found = set() if af is None else {AF if af else NOT_AF}
    found |= set() if abnormal is None else {ABNORMAL if abnormal or serious or af or block else NORMAL}
    return found | ({SERIOUS} if serious or af or block else set()) | ({BLOCK} if block else set())


def _ludb(data: Path, _: Path, part: str) -> Iterator[Window]:
    rows = _rows(data / "ludb" / "manifest.csv")
    for name in chosen(list(rows), "ludb", part):
        row = {k: v.lower() for k, v in rows[name].items()}
        columns = ("conduction", "extrasystoles", "hypertrophy", "pacing", "ischemia", "repolarization")
        abnormal = any(row[k] for k in columns) or "sinus" not in row["rhythm"]
        serious = "stemi" in row["ischemia"].replace("nstemi", "") or "scar formation" in row["ischemia"]
        block = any(x in row["conduction"] for x in ("iii degree", "ii degree"))
        af = "atrial f" in row["rhythm"]
        says = _says(af=af, abnormal=abnormal, serious=serious, block=block)
        if "ventricular extrasystole" in row["extrasystoles"]:
            says.add(ECTOPY)
        yield Window("ludb", data / "ludb" / "data" / name, 0.0, frozenset(says))


def _ptbxl(data: Path, scratch: Path, part: str) -> Iterator[Window]:
    import soundfile
    import wfdb

    from models.leads import STANDARD_12

    folder = scratch / "ptbxl"
    folder.mkdir(parents=True, exist_ok=True)
    rows, n = _rows(data / "ptbxl" / "manifest.csv"), 12 * round(WINDOW_S * PTBXL_FS_HZ)
    with soundfile.SoundFile(data / "ptbxl" / "ptbxl_dev.flac") as file:
        for name in chosen(list(rows), "ptbxl", part):
            row, codes = rows[name], set(json.loads(rows[name]["scp_codes"]))
            file.seek(int(row["row"]) * n)
            mv = file.read(n, dtype="int16").reshape(12, -1).T / PTBXL_UNITS * PTBXL_MV
            wfdb.wrsamp(
                name, PTBXL_FS_HZ, ["mV"] * 12, list(STANDARD_12), mv, fmt=["16"] * 12, adc_gain=[1000.0] * 12,
                baseline=[0] * 12, write_dir=str(folder),
            )  # fmt: skip
            says = _says(
                af=bool(codes & {"AFIB", "AFLT"}),
                abnormal=row["superclass"] != "NORM",
                serious="MI" in row["superclass"].split("|") or bool(codes & {"LNGQT", "STE_", "INJAS", "INJAL"}),
                block=bool(codes & {"2AVB", "3AVB"}),
            )
            yield Window("ptbxl", folder / name, 0.0, frozenset(says | ({ECTOPY} if "PVC" in codes else set())))


def _samples(data: Path, _: Path, part: str) -> Iterator[Window]:
    rows = _rows(data / "twelve_lead_samples" / "manifest.csv")
    for name in chosen(list(rows), "samples", part):
        found = set(rows[name]["dx"].split("|")) - {""}
        says = _says(
            af=bool(found & {"AF", "AFL"}),
            abnormal=bool(found - {"NSR", "SB", "SA"}),
            serious=bool(found & {"MI", "MIs", "CMI", "LQT"}),
            block=bool(found & {"IIAVB", "CHB"}),  # AVB has no degree: in AF or flutter it is their conduction
        )
        ectopy = {ECTOPY} if found & {"VEB", "VPB", "PVC"} else set()
        yield Window("samples", data / "twelve_lead_samples" / "records" / name, 0.0, frozenset(says | ectopy))


def _mitdb(data: Path, _: Path, part: str) -> Iterator[Window]:
    import wfdb

    for name in chosen(list(_rows(data / "mitdb" / "manifest.csv")), "mitdb", part):
        path = data / "mitdb" / "data" / name
        marks = wfdb.rdann(str(path), "atr")
        at, symbols = np.asarray(marks.sample) / marks.fs, list(marks.symbol)
        changes = [(0.0, ""), *((t, x.strip("\x00(")) for t, x in zip(at, marks.aux_note, strict=True) if "(" in x)]
        rng = Random(f"{SEED} {name}")
        for k in range(MITDB_WINDOWS):
            low = MITDB_S / MITDB_WINDOWS * k
            start = float(round(low + rng.random() * (MITDB_S / MITDB_WINDOWS - WINDOW_S)))
            rhythms = _rhythms(changes, start)
            beats = "".join(s for t, s in zip(at, symbols, strict=True) if start + 0.2 < t < start + WINDOW_S - 0.2)
            says = _says(af=None if rhythms - {"AFIB", "AFL"} and rhythms & {"AFIB", "AFL"} else "AFIB" in rhythms)
            says |= {ECTOPY} if beats.count("V") else set()
            says |= {LETHAL, SERIOUS} if rhythms & {"VT", "VFL"} and "V" * 5 in beats.replace("!", "V") else set()
            says |= {BLOCK, SERIOUS} if "BII" in rhythms else set()
            yield Window("mitdb", path, start, frozenset(says))


def _rhythms(changes: list[tuple[float, str]], start: float) -> set[str]:
    """Rhythms annotated within a window."""
    before = [name for t, name in changes if t <= start][-1]
    return {before, *(name for t, name in changes if start < t < start + WINDOW_S)}


def _cinc2015(data: Path, _: Path, part: str) -> Iterator[Window]:
    rows = _rows(data / "cinc2015" / "manifest.csv")
    lethal = ("Asystole", "Ventricular_Tachycardia", "Ventricular_Flutter_Fib")
    for name in chosen(list(rows), "cinc2015", part):
        true = rows[name]["true_alarm"] == "1" and rows[name]["alarm"] in lethal
        says = {LETHAL, SERIOUS} if true else set()
        yield Window("cinc2015", data / "cinc2015" / "records" / name, 290.0, frozenset(says))


def _intervals(source: str, data: Path, part: str) -> Iterator[Window]:
    """Two windows a record: one anywhere, one that begins 2 s after the onset of a lethal rhythm."""
    with (data / source / "rhythms.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lethal = {"VF", "VFL", "VT", "ASYS", "S"}  # S: CUDB, shockable
    records = _rows(data / source / "manifest.csv")
    for name in chosen(list(records), source, part):
        own = [(float(r["start_s"]), float(r["end_s"]), r["label"]) for r in rows if r["record"] == name]
        length = float(records[name]["length"]) / float(records[name]["fs"])
        rng = Random(f"{SEED} {name}")
        long_enough = [a + 2 for a, b, x in own if x in lethal and b - a > WINDOW_S + 2]
        starts = [float(round(rng.uniform(20, length - 20))), *long_enough[:1]]
        for start in starts[:ICU_WINDOWS]:
            inside = sum(max(0.0, min(b, start + WINDOW_S) - max(a, start)) for a, b, label in own if label in lethal)
            says = {LETHAL, SERIOUS} if inside >= 0.8 * WINDOW_S else set()
            yield Window(source, _path(data / source, name), start, frozenset(says))


def _path(folder: Path, name: str) -> Path:
    return next(iter(sorted(folder.rglob(f"{name}.hea")))).with_suffix("")


_OF = {
    "ludb": _ludb, "ptbxl": _ptbxl, "samples": _samples, "mitdb": _mitdb, "cinc2015": _cinc2015,
    "cudb": lambda data, _, part: _intervals("cudb", data, part),
    "vfdb": lambda data, _, part: _intervals("vfdb", data, part),
}  # fmt: skip
