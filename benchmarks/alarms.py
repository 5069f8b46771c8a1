"""Benchmark of the alarms: true and false ICU alarms, lethal rhythms, AF, delay, alarm burden. Writes alarms.md.

    python benchmarks/alarms.py [--score DIR] [--data DIR] [--parts scored,vfdb,…] [--kept DIR] [--limit N]

`scored`, `vfdb`, `cudb` and `af` run the scorers alarms.py, vf.py and af.py of the score folder on the command line
with ``--folds``: each record is analysed with weights that never saw its fold. VFDB and CUDB have the
folds of `models.training.rhythm_folds`. `delays` runs the rhythm tier over scripted episodes spliced into real
recordings (`models.evaluation.splices`), both recordings of an episode of the fold that is left out. `mitdb`
counts lethal alarms on MIT-BIH that no annotated episode explains. `burden` counts the alarms that sound, by priority,
over the whole life cycle. Each part stores its result in ``--kept``, so that the parts can run one at a time; the table
has all stored results.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.alarm_tables import LETHAL, NEAR_S, PARTS, stored, table  # noqa: E402

VTACH_BEATS = 5  # limits of the alarms themselves; rates within their accuracy of 5 a minute
RHYTHM_OF_LABELS = ("VF", "VFIB", "VFL", "VT", "ASYS", "NOISE", "HGEA")  # VFDB labels that are no clean rhythm
AWAY_S = 10.0  # clean rhythm is this far from them


def scorer(name: str, options: argparse.Namespace, folds: Path, data: Path | None = None) -> dict[str, Any]:
    """The RESULT of one scorer."""
    command = [
        sys.executable,
        str(options.score / f"{name}.py"),
        "--predictor",
        options.predictor,
        "--data",
        str(data or options.data),
        "--folds",
        str(folds),
    ]
    if options.limit:
        command += ["--limit", str(options.limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE.parent)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    return result


def by_patient(source: str, options: argparse.Namespace) -> dict[str, Any]:
    """The RESULT of vf.py on VFDB or CUDB, by the folds of `models.training.rhythm_folds`."""
    from models.training.rhythm_folds import fold_of

    with tempfile.TemporaryDirectory() as folder:
        folds = Path(folder) / "folds.csv"
        with (options.data / source / "manifest.csv").open() as f:
            rows = [f"{row['record']},{fold_of(source, row['record'])}" for row in csv.DictReader(f)]
        folds.write_text("\n".join(["record,fold", *rows]) + "\n")
        return scorer("vf", options, folds, options.data / source)


def delays(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds from onset to detection on every scripted episode, by code; None where it was missed."""
    from models.arrhythmia.tier import find_episodes
    from models.evaluation.splices import scripted

    out: dict[str, list[float | None]] = {}
    for s in scripted(options.data, {name: int(fold) for name, fold in options.fold_of_mitdb.items()}):
        episodes = find_episodes(s.ecg, fold=str(s.fold))
        found = [e for e in episodes if e.code == s.code and e.detected > s.onset]
        delay = (found[0].detected - s.onset) / s.ecg.fs_hz if found else None
        out.setdefault(s.code, []).append(None if delay is None else round(delay, 2))
    return {"delays": out}


def mitdb(options: argparse.Namespace) -> dict[str, Any]:
    """Lethal alarms of each MIT-BIH recording, and those that nothing annotated explains; CPU time of it all."""
    import wfdb

    from models.arrhythmia.tier import find_episodes
    from models.records import read_record

    counts, outside, seconds, cpu = Counter[str](), [], 0.0, time.process_time()
    for header in sorted((options.data / "mitdb" / "data").glob("*.hea"))[: options.limit or None]:
        path = header.with_suffix("")
        ecg, marks = read_record(path), wfdb.rdann(str(path), "atr")
        fold = options.fold_of_mitdb.get(path.name)
        seconds += ecg.duration_s
        known = explained(np.asarray(marks.sample) / ecg.fs_hz, list(marks.symbol))
        for e in find_episodes(ecg, fold=fold):
            if e.code in LETHAL:
                counts[e.code] += 1
                at, seen = e.onset / ecg.fs_hz, max(e.onset, e.last_held) / ecg.fs_hz
                if not any(code == e.code and a - NEAR_S <= seen and at <= b + NEAR_S for code, a, b in known):
                    outside.append([path.name, e.code, round(at, 1)])
    return {
        "hours": round(seconds / 3600, 2),
        "counts": dict(counts),
        "outside": outside,
        "cpu_ms_per_bed_second": round((time.process_time() - cpu) * 1000 / seconds, 2),
    }


def burden(options: argparse.Namespace) -> dict[str, Any]:
    """Alarms that sounded, by priority and by code, and the hours of MIT-BIH, CinC 2015 and VFDB's clean rhythm."""
    from deploy.alarm_events import alarm_events
    from models.arrhythmia.limits import Limits, RhythmSettings
    from models.records import read_record

    out: dict[str, Any] = {}
    for source, path, fold, until_s in recordings(options):
        ecg = read_record(path)
        if until_s is not None:
            ecg = ecg.slice(0, min(ecg.n_samples, round(until_s * ecg.fs_hz)))
        counted = np.ones(int(ecg.duration_s) + 1, bool)
        if source == "vfdb":
            counted = clean_seconds(options.data / "vfdb", path.name, len(counted))
        at = out.setdefault(source, {"seconds": 0, "priority": Counter(), "code": Counter()})
        at["seconds"] += int(counted.sum())
        for event in alarm_events(ecg, Limits(), RhythmSettings(), fold=fold):
            if event["sounded"] and counted[int(event["detected_s"])]:
                at["priority"][event["priority"]] += 1
                at["code"][event["code"]] += 1
    return out


def recordings(options: argparse.Namespace) -> Iterator[tuple[str, Path, str, float | None]]:
    """Source, path, fold and end (s) of the recordings whose burden is counted."""
    from models.training.rhythm_folds import fold_of

    for name, fold in sorted(options.fold_of_mitdb.items())[: options.limit or None]:
        yield "mitdb", options.data / "mitdb" / "data" / name, fold, None
    rows = (options.score / "folds" / "cinc2015.csv").read_text().splitlines()[1:]
    for row in sorted(rows)[: options.limit or None]:
        name, fold = row.split(",")[:2]
        yield "cinc2015", options.data / "cinc2015" / "records" / name, fold, 290.0
    for header in sorted((options.data / "vfdb" / "data").glob("*.hea"))[: options.limit or None]:
        yield "vfdb", header.with_suffix(""), str(fold_of("vfdb", header.stem)), None


def clean_seconds(folder: Path, record: str, n: int) -> np.ndarray[Any, Any]:
    """Which seconds of a VFDB record are of a labelled rhythm far from lethal ones, noise and ectopy, bool [n]."""
    clean, near, at = np.zeros(n, bool), np.zeros(n, bool), np.arange(n) + 0.5
    with (folder / "rhythms.csv").open() as f:
        for row in csv.DictReader(f):
            a, b = float(row["start_s"]), float(row["end_s"])
            if row["record"] != record:
                continue
            if row["label"] in RHYTHM_OF_LABELS:
                near |= (at > a - AWAY_S) & (at < b + AWAY_S)
            else:
                clean |= (at > a) & (at < b)
    return clean & ~near


def explained(at_s: np.ndarray[Any, Any], symbols: list[str]) -> list[tuple[str, float, float]]:
    """Spans in which the annotations themselves meet a lethal alarm's own limits: (code, from, to)."""
    out = [
        ("VFIB", float(a), float(b))
        for a, b in zip(at_s[[s == "[" for s in symbols]], at_s[[s == "]" for s in symbols]], strict=False)
    ]
    beat = np.array([s in "NLRBAaJSVrFejnE/fQ" for s in symbols])
    r, kinds = at_s[beat], [s for s, is_beat in zip(symbols, beat, strict=True) if is_beat]
    rr = np.diff(r)
    out += [("ASYSTOLE", float(r[k]), float(r[k + 1])) for k in np.flatnonzero(rr > 3.5)]
    rates = (("EXTREME_TACHY", 16, lambda m: m < 60 / 135), ("EXTREME_BRADY", 4, lambda m: m > 60 / 45))
    for code, n, holds in rates:
        mean = np.convolve(rr, np.full(n, 1 / n), "valid")
        out += [(code, float(r[k]), float(r[k + n])) for k in np.flatnonzero(holds(mean))]
    run: list[int] = []
    for k, kind in enumerate([*kinds, "N"]):
        if kind in "VE":
            run.append(k)
            continue
        if len(run) >= VTACH_BEATS and fastest(r[run]) > 95:
            out.append(("VTACH", float(r[run[0]]), float(r[run[-1]])))
        run = []
    out += [("VTACH", a, b) for code, a, b in out if code == "VFIB"]
    return out


def fastest(r: np.ndarray[Any, Any]) -> float:
    """Rate of the fastest `VTACH_BEATS` of a run of beats at ``r`` (s), per minute."""
    return float(60 * (VTACH_BEATS - 1) / np.min(r[VTACH_BEATS - 1 :] - r[: len(r) - VTACH_BEATS + 1]))


def main() -> None:
    """Score, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--score", type=Path, default=HERE.parent.parent / "shared" / "score")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--predictor", default=f"{Path(sys.executable).parent / 'gem-bedside'}")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--kept", type=Path, default=HERE.parent / ".gem-bedside" / "benchmarks")
    parser.add_argument("--limit", type=int, default=0, help="so many records only")
    parser.add_argument("--out", type=Path, default=HERE / "alarms.md")
    options = parser.parse_args()
    options.kept.mkdir(parents=True, exist_ok=True)
    rows = (options.score / "folds" / "mitdb.csv").read_text().splitlines()[1:]
    options.fold_of_mitdb = dict(row.split(",")[:2] for row in rows)
    work = {
        "scored": lambda: scorer("alarms", options, options.score / "folds" / "cinc2015.csv"),
        "vfdb": lambda: by_patient("vfdb", options),
        "cudb": lambda: by_patient("cudb", options),
        "af": lambda: scorer("af", options, options.score / "folds" / "cinc2017.csv"),
        "delays": lambda: delays(options),
        "mitdb": lambda: mitdb(options),
        "burden": lambda: burden(options),
    }
    for part in options.parts.split(","):
        (options.kept / f"{part}.json").write_text(json.dumps(work[part]()))
    options.out.write_text(table(stored(options.kept)))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
