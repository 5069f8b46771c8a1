"""Beats, waves and intervals: accuracy and speed, ours and the peers', in one run.

    python benchmarks/measure.py [--score DIR] [--limit N] [--peers neurokit2,sleepecg,xqrs,openecg]
                                 [--openecg-python PATH] [--folds] [--kept DIR] [--out benchmarks/measure.md]

Accuracy is the result of the scorers qrs.py and intervals.py in the score folder; with ``--folds`` ours
uses weights that were trained without the fold of the record. A peer that is not installed is left out and named. Speed
is CPU time: one process, one thread, the median over repeats on a 12-lead record of 10 s; as a stream, a 12-lead bed at
500 Hz with an update interval of a second, beats every second, delineation once a beat.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
REPEATS, ROUNDS = 20, 3


@dataclass(frozen=True)
class Scorers:
    """The scorers of a folder; a result that is in ``kept`` already is not asked for again."""

    folder: Path
    kept: Path | None
    options: tuple[str, ...]

    def __call__(self, scorer: str, name: str, predictor: str, *options: str) -> dict[str, Any] | None:
        """The RESULT of one scorer for the program ``name``; None when the program did not answer."""
        parts = [scorer, name, *(Path(x).stem for x in (*self.options, *options))]
        kept = self.kept and self.kept / ("_".join(parts).replace(" ", "-") + ".json")
        if kept and kept.is_file():
            result: dict[str, Any] = json.loads(kept.read_text())
            return result
        command = [
            sys.executable,
            str(self.folder / f"{scorer}.py"),
            "--predictor",
            predictor,
            "--batch",
            "5",
            "--jobs",
            "2",
            *self.options,
            *options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent)
        lines = [x for x in done.stdout.splitlines() if x.startswith("RESULT ")]
        if not lines:
            print(done.stderr[-500:], file=sys.stderr)
            return None
        result = json.loads(lines[-1].removeprefix("RESULT "))
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(result))
        return result


def _cpu_ms(work: Any) -> float:
    """Median CPU time of a call, milliseconds: other people's work on the machine does not count."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1000.0)
    return float(np.median(times))


def our_speed(record: Path) -> dict[str, float]:
    """CPU milliseconds: a 12-lead 10-s window, and a second of stream."""
    from models.beats.detector import BeatStream
    from models.ecg import Ecg
    from models.measurement.delineation import delineate
    from models.measurement.measure import measure
    from models.records import read_record

    ecg = read_record(record)
    window = _cpu_ms(lambda: measure(ecg))
    fs, update = ecg.fs_hz, round(ecg.fs_hz)
    mv = np.tile(ecg.mv, (1, 6))
    stream = BeatStream(ecg.leads, fs)
    start, done = time.process_time(), 0
    for at in range(0, mv.shape[1], update):
        beats = stream.push(Ecg(ecg.leads, fs, mv[:, at : at + update]))
        first = max(0, at - 2 * update)
        if beats:
            inside = [replace(b, sample=b.sample - first) for b in beats if b.sample >= first]
            delineate(Ecg(ecg.leads, fs, mv[:, first : at + update]), inside)
        done += 1
    return {"window_ms": window, "stream_ms": (time.process_time() - start) * 1000.0 / done}


def peer_speed(peer: str, record: Path, python: str) -> dict[str, float] | None:
    """CPU milliseconds for the same 12-lead window, in the peer's own environment, by what is asked of it."""
    command = [python, str(HERE / "peers.py"), peer, "speed", str(record)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **ONE_THREAD})
    lines = done.stdout.splitlines()
    if done.returncode or not lines or "error" in lines[-1]:
        return None
    jobs: dict[str, float] = json.loads(lines[-1])
    return jobs


def speeds(record: Path, pythons: Mapping[str, str]) -> tuple[dict[str, float], dict[str, dict[str, list[float]]]]:
    """Ours, and each peer's jobs, alternating: a shared machine is as slow for the one as for the other.

    Returns
    -------
    ours : mapping
        Medians over the rounds, CPU milliseconds.
    peers : mapping
        Peer to job to [median of its CPU milliseconds, median of how many times ours of the same round that is].
    """
    own: list[dict[str, float]] = []
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for _ in range(ROUNDS):
        own.append(our_speed(record))
        for name, python in pythons.items():
            for job, ms in (peer_speed(name, record, python) or {}).items():
                found.setdefault(name, {}).setdefault(job, []).append((ms, ms / own[-1]["window_ms"]))
    return (
        {k: float(np.median([r[k] for r in own])) for k in own[0]},
        {name: {job: np.median(rows, axis=0).tolist() for job, rows in jobs.items()} for name, jobs in found.items()},
    )


def _number(x: Any, digits: int = 1) -> str:
    return "–" if x is None else f"{x:.{digits}f}"


def _qrs_row(name: str, r: dict[str, Any] | None) -> str:
    if r is None:
        return f"| {name} | – | – | – |"
    whole, late = r["whole, all"], r["5:00 on, no paced"]
    kinds = "–" if late["V_PP"] is None else f"{_number(late['V_Se'])} / {_number(late['V_PP'])}"
    return (
        f"| {name} | {_number(whole['Se'], 2)} / {_number(whole['PP'], 2)} / {_number(whole['F1'], 2)} | "
        f"{kinds} | {_number(r.get('predictor_seconds'))} |"
    )


def _interval_row(name: str, r: dict[str, Any] | None) -> str:
    if r is None:
        return f"| {name} | – | – | – | – | – |"
    found = r["intervals"]
    cells = [f"{_number(found[k]['bias'])} ± {_number(found[k]['sd'])}" for k in ("PR", "QRS", "QT")]
    return f"| {name} | {_number(r['leads']['macro_F1'], 2)} | {' | '.join(cells)} | {_number(found['false_PR'])} |"


def _hard(noise: dict[str, Any] | None, windows: dict[str, Any] | None) -> list[str]:
    """Ours in noise (baseline wander, muscle, electrode motion) and in separate windows of 10 s."""
    if noise is None or windows is None:
        return []
    rows = [
        f"| {name} | {_number(r['Se'], 2)} / {_number(r['PP'], 2)} / {_number(r['F1'], 2)} |"
        for name, r in noise.items()
        if isinstance(r, dict) and "Se" in r
    ]
    return [
        f"In noise, mean F1: {_number(noise['mean_F1_noisy'])} %. Windows of 10 s, each on its own, cost "
        f"{_number(windows['penalty_F1'], 2)} points of F1.",
        "",
        "| ours in noise (six records) | Se / +P / F1, gross % |",
        "|---|---|",
        *rows,
        "",
    ]


def main() -> None:
    """Score ours and the peers, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = HERE.parent.parent / "shared"
    parser.add_argument("--score", type=Path, default=Path(os.environ.get("GEM_BEDSIDE_TEST_SCORE", root / "score")))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GEM_BEDSIDE_TEST_DATA", root / "data")))
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--peers", default="neurokit2,sleepecg,xqrs,openecg")
    parser.add_argument("--openecg-python", default=sys.executable, help="an interpreter that has openecg")
    parser.add_argument("--folds", action="store_true", help="ours with weights trained without the fold")
    parser.add_argument("--kept", type=Path, help="folder of scores: a program that was scored before is not again")
    parser.add_argument("--ours", default=str(Path(sys.executable).with_name("gem-bedside")))
    parser.add_argument("--out", type=Path, default=HERE / "measure.md")
    options = parser.parse_args()
    limit = ["--limit", str(options.limit)] if options.limit else []
    record = options.data / "ludb" / "data" / "1"
    qrs, waves = [], []
    noise: dict[str, Any] | None = None
    windows: dict[str, Any] | None = None
    scorers = Scorers(options.score, options.kept, tuple(limit))
    pythons = {
        name: options.openecg_python if name == "openecg" else sys.executable
        for name in filter(None, options.peers.split(","))
    }
    ours, peers = speeds(record, pythons)
    load = os.getloadavg()[0]
    absent = [name for name in pythons if name not in peers]
    speed = [
        f"| GEM Bedside | beats and their kinds, quality, waves | {ours['window_ms']:.1f} | 1 |",
        *(
            f"| {name} | {job} | {ms:.1f} | {times:.1f} |"
            for name, jobs in peers.items()
            for job, (ms, times) in jobs.items()
        ),
    ]
    print("\n".join(speed), file=sys.stderr, flush=True)
    for name in ["GEM Bedside", *peers]:
        own = name == "GEM Bedside"
        command = options.ours if own else f"{shlex.quote(pythons[name])} {HERE / 'peers.py'} {name}"
        mitdb, ludb = (
            ["--folds", str(options.score / "folds" / f"{k}.csv")] if own and options.folds else []
            for k in ("mitdb", "ludb")
        )
        qrs.append(_qrs_row(name, scorers("qrs", name, command, *mitdb)))
        if own:
            noise, windows = (scorers("qrs", name, command, how, *mitdb) for how in ("--noise", "--windows"))
        if name not in ("sleepecg", "xqrs"):
            waves.append(_interval_row(name, scorers("intervals", name, command, *ludb)))
    asked = " ".join(["python benchmarks/measure.py", *(["--folds"] if options.folds else []), *limit])
    stream = (
        f"As a stream (12 leads, 500 Hz, update 1 s, delineation once a beat): {ours['stream_ms']:.1f} ms "
        "a bed and second."
    )
    text = "\n".join(
        [
            "# Beats, waves and intervals",
            "",
            f"Made by `{asked}` on {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} shared "
            f"cores; load average at the speeds {load:.1f}.",
            (
                "Ours used weights that were trained without the record's fold."
                if options.folds
                else "Ours with the shipped weights."
            ),
            *([f"Not installed, left out: {', '.join(absent)}."] if absent else []),
            "",
            "## Beats, MIT-BIH, whole records",
            "",
            "| program | Se / +P / F1, gross % | V beats Se / +P | seconds |",
            "|---|---|---|---|",
            *qrs,
            "",
            *_hard(noise, windows),
            "## Waves and intervals, LUDB",
            "",
            "| program | macro F1, 12 leads | PR ms | QRS ms | QT ms | false PR % |",
            "|---|---|---|---|---|---|",
            *waves,
            "",
            "## Speed, CPU milliseconds on one core",
            "",
            "One process, one thread, a 12-lead window of 10 s at 500 Hz that has been read already; medians of rounds "
            "in which ours and the peers alternate, and of the ratio within a round.",
            "",
            "| program | what it is asked for | 12-lead 10-s window | times ours |",
            "|---|---|---|---|",
            *speed,
            "",
            stream,
            "",
        ]
    )
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
