"""Benchmark of EXTREME_TACHY with constants chosen on other patients. Writes alarm_halves.md.

    python benchmarks/alarm_halves.py [--data DIR] [--folds DIR] [--kept DIR] [--limit N] [--out FILE]

The records of CinC 2015 are halved by their blocks of neighbouring numbers, which no patient crosses
(``patient_block``: even and odd). The rhythm tier runs once over each record, by weights that never saw its fold, and
the beats of each update are kept in ``--kept``. `CANDIDATES` of the constants of `models.arrhythmia.criteria.rate` are
then evaluated on the kept beats. On each half the candidate is chosen that misses the fewest true alarms, and among
those the one that alarms most seldom; it is reported on the other half, beside the constants of the code.
A true alarm is found as in ``score/alarms.py``: an episode was detected by 300 s and held in the last 14 s; strict:
its onset or detection lies in the last 10 s. Burden: episodes detected before 290 s, and the share of that time.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import models.arrhythmia.criteria.rate as rate  # noqa: E402
from models.arrhythmia.episode_tracker import EpisodeTracker, Finding  # noqa: E402
from models.arrhythmia.limits import Limits, RunLimit  # noqa: E402
from models.beats.series import BeatTrack  # noqa: E402

CANDIDATES = {
    "RISE_BPM": (20.0, 25.0),
    "NEWEST_FASTER_BPM": (5.0, 10.0),
    "TACHY_HOLD_BPM": (5.0, 8.0),
    "RETURN_S": (0.0, 30.0, 60.0),
}
BEATS = 50  # of each update: the rule uses 17, and as many before them
ALARM_S, LOOK_S, STRICT_S, BURDEN_S = 300.0, 14.0, 10.0, 290.0
FASTEST_BPM = 120.0  # records whose 17 beats are never faster cannot alarm, and are not evaluated again and again
Update = tuple[int, BeatTrack | None]  # sample, and the beats where the rates were evaluated
Constants = dict[str, float]


@dataclass
class Record:
    """One record: sampling rate, updates, whether it is a tachycardia alarm, and a true one, and its half."""

    fs_hz: float
    updates: list[Update]
    is_tachy: bool
    is_true: bool
    half: int


def updates_of(path: Path, fold: str) -> tuple[float, list[Update]]:
    """Beats of each update of a record in which EXTREME_TACHY was evaluated; None in the others."""
    from models.arrhythmia.tier import RhythmTier, update_chunks
    from models.records import read_record

    ecg = read_record(path)
    tier = RhythmTier(ecg.leads, ecg.fs_hz, paced=ecg.paced, fold=fold)
    seen: list[BeatTrack] = []
    criterion = rate.extreme_tachy

    def listening(track: BeatTrack, limit: RunLimit, on: bool = False, returns: bool = False) -> Finding | None:
        seen.append(newest(track))
        return criterion(track, limit, on, returns)

    out: list[Update] = []
    rate.extreme_tachy = listening
    try:
        for chunk in update_chunks(ecg, ALARM_S):
            seen.clear()
            now = tier.push(chunk).now
            out.append((now, seen[0] if seen else None))
    finally:
        rate.extreme_tachy = criterion
    return ecg.fs_hz, out


def newest(track: BeatTrack) -> BeatTrack:
    """The newest beats of a track, as much as the rule uses."""
    k = max(0, len(track.r) - BEATS)
    return replace(
        track,
        r=track.r[k:].copy(),
        kinds=list(track.kinds[k:]),
        qrs_ms=track.qrs_ms[k:].copy(),
        confidence=track.confidence[k:].copy(),
        correlation=track.correlation[k:].copy(),
    )


def episodes(record: Record, constants: Constants) -> list[tuple[float, float, float | None]]:
    """Onset, detection and end (s; None: on) of each EXTREME_TACHY with these constants."""
    for name, value in constants.items():
        setattr(rate, name, value)
    tracker, found, limit = EpisodeTracker(record.fs_hz), {}, Limits()["EXTREME_TACHY"]
    for now, track in record.updates:
        on = tracker.is_on("EXTREME_TACHY")
        returns = tracker.ended_within("EXTREME_TACHY", now, round(rate.RETURN_S * record.fs_hz))
        finding = None if track is None else rate.extreme_tachy(track, limit, on, returns)
        findings = [] if finding is None else [finding]
        for e in tracker.update(findings, now, () if track is not None else ("EXTREME_TACHY",)):
            found[e.key] = (e.onset, e.detected, e.end)
    fs = record.fs_hz
    return [(a / fs, b / fs, None if end is None else end / fs) for a, b, end in found.values()]


@dataclass
class Result:
    """Of some records: true alarms, those missed, those missed by the strict reading, false ones; burden."""

    true: int
    missed: int
    strict_missed: int
    false: int
    per_hour: float
    on_percent: float


def evaluate(records: list[Record], constants: Constants) -> Result:
    """The result of these constants."""
    true = missed = strict = false = sounded = 0
    on_s = 0.0
    for record in records:
        found = episodes(record, constants) if fast(record) else []
        raised = any(end is None or max(end, at) >= ALARM_S - LOOK_S for _, at, end in found)
        late = any(max(onset, at) >= ALARM_S - STRICT_S for onset, at, _ in found)
        if record.is_tachy:
            true += record.is_true
            missed += record.is_true and not raised
            strict += record.is_true and not late
            false += raised and not record.is_true
        before = [
            (at, BURDEN_S if end is None else min(BURDEN_S, max(end, at))) for _, at, end in found if at < BURDEN_S
        ]
        sounded += len(before)
        on_s += sum(stop - start for start, stop in before)
    seconds = len(records) * BURDEN_S
    return Result(true, missed, strict, false, 3600.0 * sounded / seconds, 100.0 * on_s / seconds)


def fast(record: Record) -> bool:
    """Whether 17 beats are somewhere faster than `FASTEST_BPM`."""
    known = next((track for _, track in reversed(record.updates) if track is not None), None)
    if known is None:
        return False
    r: NDArray[np.int64] = np.unique(np.concatenate([t.r for _, t in record.updates if t is not None]))
    return bool(len(r) > 16 and 60.0 * 16 * record.fs_hz / np.min(r[16:] - r[:-16]) > FASTEST_BPM)


def candidates() -> Iterator[Constants]:
    """All combinations of `CANDIDATES`."""
    for values in itertools.product(*CANDIDATES.values()):
        yield dict(zip(CANDIDATES, values, strict=True))


def read(options: argparse.Namespace) -> list[Record]:
    """The records, analysed where they are not kept yet."""
    options.kept.mkdir(parents=True, exist_ok=True)
    with (options.data / "cinc2015" / "manifest.csv").open() as f:
        rows = {row["record"]: row for row in csv.DictReader(f)}
    with (options.folds / "cinc2015.csv").open() as f:
        folds = {row["record"]: row["fold"] for row in csv.DictReader(f)}
    out = []
    for name in sorted(folds)[: options.limit or None]:
        kept = options.kept / f"{name}.pickle"
        if not kept.exists():
            path = options.data / "cinc2015" / "records" / name
            kept.write_bytes(pickle.dumps(updates_of(path, folds[name])))
        fs_hz, updates = pickle.loads(kept.read_bytes())
        row = rows[name]
        is_true = row["true_alarm"] == "1"
        out.append(Record(fs_hz, updates, name[0] == "t", is_true, int(row["patient_block"]) % 2))
    return out


def table(records: list[Record]) -> str:
    """The committed page."""
    shipped = {name: float(getattr(rate, name)) for name in CANDIDATES}
    halves = [[r for r in records if r.half == k] for k in (0, 1)]
    results = [[(c, evaluate(half, c)) for c in candidates()] for half in halves]
    lines = [
        "# EXTREME_TACHY with constants chosen on other patients",
        "",
        f"`python benchmarks/alarm_halves.py`: {len(records)} records of CinC 2015, weights that never saw the fold.",
        "",
        "| reported on | constants | chosen on | true | missed | missed, strict | false | alarms an hour | alarm on |",
        "|" + "---|" * 9,
    ]

    def row(half: int, constants: Constants, chosen: str) -> str:
        r = evaluate(halves[half], constants)
        words = ", ".join(f"{value:g}" for value in constants.values())
        return (
            f"| half {half} ({len(halves[half])}) | {words} | {chosen} | {r.true} | {r.missed} | {r.strict_missed} "
            f"| {r.false} | {r.per_hour:.1f} | {r.on_percent:.1f} % |"
        )

    for half in (0, 1):
        best: tuple[Constants, Any] = min(results[1 - half], key=lambda x: (x[1].missed, x[1].per_hour))
        lines += [row(half, best[0], f"half {1 - half}"), row(half, shipped, "both: those of the code")]
    lines += [
        "",
        f"Constants: {', '.join(CANDIDATES)}; {len(results[0])} combinations, of "
        + "; ".join(f"{', '.join(f'{v:g}' for v in values)}" for values in CANDIDATES.values())
        + ".",
    ]
    for name, value in shipped.items():
        setattr(rate, name, value)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Choose on each half, report on the other, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--folds", type=Path, default=HERE.parent.parent / "shared" / "score" / "folds")
    parser.add_argument("--kept", type=Path, default=HERE.parent / ".gem-bedside" / "benchmarks" / "rates")
    parser.add_argument("--limit", type=int, default=0, help="so many records only")
    parser.add_argument("--out", type=Path, default=HERE / "alarm_halves.md")
    options = parser.parse_args()
    options.out.write_text(table(read(options)))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
