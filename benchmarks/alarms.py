"""Benchmark of the alarms: true and false ICU alarms, lethal rhythms, AF, delay, alarm burden. Writes alarms.md.

    python benchmarks/alarms.py [--parts vfdb,cudb,…] [--score DIR] [--data DIR] [--kept DIR] [--limit N] [--jobs N]
    python benchmarks/alarms.py --cinc2015 FILE --commit HASH     # a result of score/alarms.py --folds, run elsewhere
    python benchmarks/alarms.py --parts none                      # the page again, from alarms.json

Results are stored in alarms.json by part, with day and hash of the product's sources; the page shows all of them, so
that parts can run one at a time. The answers for single records are kept in ``--kept`` (`benchmarks.alarm_answers`): a
part that was interrupted goes on where it stopped.
`cinc2015`, `vfdb`, `cudb` and `af` run the scorers alarms.py, vf.py and af.py of the score folder with ``--folds``.
`delays` runs the rhythm tier over scripted episodes spliced into real recordings (`models.evaluation.splices`), both of
the fold that is left out. `mitdb` counts lethal alarms on MIT-BIH that no annotated episode explains. `burden` counts
the alarms that sound, by priority, over the whole life cycle. What each part's weights and thresholds had seen:
`benchmarks.alarm_tables.PARTS`.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.alarm_answers import answers  # noqa: E402
from benchmarks.alarm_tables import LETHAL, NEAR_S, PARTS, table  # noqa: E402
from benchmarks.capacity_table import code_hash  # noqa: E402

VTACH_BEATS = 5  # limits of the alarms themselves; rates within their accuracy of 5 a minute
RHYTHM_OF_LABELS = ("VF", "VFIB", "VFL", "VT", "ASYS", "NOISE", "HGEA")  # VFDB labels that are no clean rhythm
AWAY_S = 10.0  # clean rhythm is this far from them


def scorer(
    name: str, options: argparse.Namespace, folds: Path, data: Path | None = None, copies: Path | None = None
) -> dict[str, Any]:
    """The RESULT of one scorer; ``copies``: folder in which its copies of the records stay."""
    command = [
        sys.executable,
        str(options.score / f"{name}.py"),
        "--predictor",
        options.predictor or f"{sys.executable} {HERE / 'alarm_answers.py'} {options.kept}",
        "--data",
        str(data or options.data),
        "--folds",
        str(folds),
        "--jobs",
        str(options.jobs),
        "--timeout",
        "36000",
    ]
    if options.limit:
        command += ["--limit", str(options.limit)]
    if copies is not None:
        command += ["--keep", str(copies)]
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
        data = with_data_folder((options.data / source).resolve(), Path(folder))
        return scorer("vf", options, folds, data, copies_of(source, options))


def atrial(options: argparse.Namespace) -> dict[str, Any]:
    """The RESULT of af.py on CinC 2017, and ``of``: the number of records there are."""
    with (options.data / "cinc2017" / "manifest.csv").open() as f:
        there = sum(1 for _ in csv.DictReader(f))
    return scorer("af", options, options.score / "folds" / "cinc2017.csv") | {"of": there}


def with_data_folder(source: Path, links: Path) -> Path:
    """The folder as vf.py expects it: of links where the records lie beside the tables and not in ``data``."""
    if (source / "data").is_dir():
        return source
    for name in ("manifest.csv", "rhythms.csv"):
        (links / name).symlink_to(source / name)
    (links / "data").symlink_to(source)
    return links


def copies_of(source: str, options: argparse.Namespace) -> Path:
    """Folder of the copies of VFDB or CUDB that vf.py shows."""
    folder: Path = options.kept / f"{source}-{options.limit or 'all'}"
    return folder


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
    """Lethal alarms of each MIT-BIH recording, and those that nothing annotated explains."""
    import wfdb

    counts, outside, seconds = Counter[str](), [], 0.0
    for path, fold in recordings(options, "mitdb"):
        header, marks = wfdb.rdheader(str(path)), wfdb.rdann(str(path), "atr")
        length_s = header.sig_len / header.fs
        seconds += length_s
        known = explained(np.asarray(marks.sample) / header.fs, list(marks.symbol))
        for e in answers([path], options.kept, fold=fold)[0]["events"]:
            if e["code"] in LETHAL:
                counts[e["code"]] += 1
                at, end = e["onset_s"], length_s if e["end_s"] is None else e["end_s"]
                if not any(c == e["code"] and a - NEAR_S <= max(at, end) and at <= b + NEAR_S for c, a, b in known):
                    outside.append([path.name, e["code"], round(at, 1)])
    return {"hours": round(seconds / 3600, 2), "counts": dict(counts), "outside": outside}


def burden(source: str, options: argparse.Namespace) -> dict[str, Any]:
    """Alarms that sounded, by priority and by code, and the seconds of MIT-BIH or of VFDB's clean rhythm."""
    import wfdb

    seconds, priority, code = 0, Counter[str](), Counter[str]()
    for path, fold in recordings(options, source):
        header = wfdb.rdheader(str(path))
        counted = np.ones(int(header.sig_len / header.fs) + 1, bool)
        if source == "vfdb":
            counted = clean_seconds(options.data / "vfdb", vfdb_names(options)[path.name], len(counted))
        seconds += int(counted.sum())
        for event in answers([path], options.kept, fold=fold)[0]["events"]:
            if event["sounded"] and counted[int(event["detected_s"])]:
                priority[event["priority"]] += 1
                code[event["code"]] += 1
    return {"seconds": seconds, "priority": dict(priority), "code": dict(code)}


def recordings(options: argparse.Namespace, source: str) -> Iterator[tuple[Path, str]]:
    """Path and fold of the recordings of MIT-BIH, or of vf.py's copies of VFDB, whose answers are kept already."""
    from models.training.rhythm_folds import fold_of

    if source == "mitdb":
        for name, fold in sorted(options.fold_of_mitdb.items())[: options.limit or None]:
            yield options.data / "mitdb" / "data" / name, fold
        return
    folder = copies_of("vfdb", options)
    names = vfdb_names(options)
    if not all((folder / f"{copy}.hea").exists() for copy in names):
        by_patient("vfdb", options)
    for copy, name in names.items():
        yield folder / copy, str(fold_of("vfdb", name))


def vfdb_names(options: argparse.Namespace) -> dict[str, str]:
    """Names of vf.py's copies of the records of VFDB, evenly spaced ones with ``--limit``, and of the records."""
    with (options.data / "vfdb" / "manifest.csv").open() as f:
        names = sorted(row["record"] for row in csv.DictReader(f))
    n = min(options.limit or len(names), len(names))
    return {f"r{k:05d}": names[int(at)] for k, at in enumerate(np.linspace(0, len(names) - 1, n).round())}


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
    """Score, store, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--score", type=Path, default=HERE.parent.parent / "shared" / "score")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--predictor", default="", help="command that the scorers call; default: alarm_answers.py")
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS) + "; none: the page alone")
    parser.add_argument("--cinc2015", type=Path, help="JSON of score/alarms.py --folds, taken instead of running it")
    parser.add_argument("--commit", help="commit that the result of --cinc2015 was measured on")
    parser.add_argument("--kept", type=Path, default=HERE.parent / ".gem-bedside" / "benchmarks" / "alarms")
    parser.add_argument("--limit", type=int, default=0, help="so many records only")
    parser.add_argument("--jobs", type=int, default=1, help="calls of the command at a time")
    parser.add_argument("--out", type=Path, default=HERE / "alarms.md")
    options = parser.parse_args()
    rows = (options.score / "folds" / "mitdb.csv").read_text().splitlines()[1:]
    options.fold_of_mitdb = dict(row.split(",")[:2] for row in rows)
    work = {
        "cinc2015": lambda: scorer("alarms", options, options.score / "folds" / "cinc2015.csv"),
        "vfdb": lambda: by_patient("vfdb", options),
        "cudb": lambda: by_patient("cudb", options),
        "af": lambda: atrial(options),
        "delays": lambda: delays(options),
        "mitdb": lambda: mitdb(options),
        "burden_mitdb": lambda: burden("mitdb", options),
        "burden_vfdb": lambda: burden("vfdb", options),
    }
    if options.cinc2015:
        if not options.commit:
            parser.error("--cinc2015 needs --commit")
        result = json.loads(options.cinc2015.read_text())
        day = datetime.fromtimestamp(options.cinc2015.stat().st_mtime, UTC)
        store(options.out, "cinc2015", {k: v for k, v in result.items() if k != "detail"}, options.commit, day)
    for part in [] if options.cinc2015 or options.parts == "none" else options.parts.split(","):
        store(options.out, part, work[part](), code_hash(), datetime.now(UTC))
    options.out.write_text(table(stored(options.out)))
    print(options.out.read_text())


def store(page: Path, part: str, result: dict[str, Any], code: str, day: datetime) -> None:
    """Put the result of a part into the JSON file beside the page; a lock keeps parts that run together apart."""
    lock = os.open(page.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        parts = stored(page)
        parts[part] = {"day": f"{day:%Y-%m-%d}", "code": code, "result": result}
        ordered = {name: parts[name] for name in PARTS if name in parts}
        page.with_suffix(".json").write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    finally:
        os.close(lock)


def stored(page: Path) -> dict[str, Any]:
    """The parts that have run."""
    file = page.with_suffix(".json")
    parts: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return parts


if __name__ == "__main__":
    main()
