"""Benchmark of the extreme rates with constants chosen on other patients. Writes alarm_halves.md.

    python benchmarks/alarm_halves.py [--data DIR] [--folds DIR] [--kept DIR] [--limit N] [--out FILE]

The records of CinC 2015 are halved by their blocks of neighbouring numbers, which no patient crosses
(``patient_block``: even and odd). The rhythm tier runs once over each record, by weights that never saw its fold, and
the beats of each update are kept in ``--kept``. The candidates of the constants of `models.arrhythmia.criteria.rate`,
in `RULES`, are then evaluated on the kept beats. On each half the candidate is chosen that misses the fewest true
alarms, and among those the one that alarms most seldom; it is reported on the other half, beside the constants of the
code. A true alarm is found as in ``score/alarms.py``: an episode was detected by 300 s and held in the last 14 s;
strict: its onset or detection lies in the last 10 s. Burden: episodes detected before 290 s, and the share of that
time. The check that the line is flat between slow beats, which needs the signal, is left out.
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
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import models.arrhythmia.criteria.rate as rate  # noqa: E402
from models.arrhythmia.episode_tracker import EpisodeTracker, Finding  # noqa: E402
from models.arrhythmia.limits import Limits, RunLimit  # noqa: E402
from models.beats.series import BeatTrack  # noqa: E402

Constants = dict[str, float]
RateCode = Literal["EXTREME_BRADY", "EXTREME_TACHY"]


@dataclass(frozen=True)
class Rule:
    """An alarm: its letter in CinC 2015, the values of each constant to choose from, and the rate to get near to.

    Records whose fastest or slowest beats, ``beats`` of them, never get to ``near_bpm`` cannot alarm.
    """

    code: RateCode
    letter: str
    candidates: dict[str, tuple[float, ...]]
    beats: int
    near_bpm: float

    def finding(self, track: BeatTrack, tracker: EpisodeTracker, now: int, fs_hz: float) -> Finding | None:
        """The condition present in an update."""
        on = tracker.is_on(self.code)
        if self.code == "EXTREME_BRADY":
            return rate.extreme_brady(track, Limits()["EXTREME_BRADY"], on)
        returns = tracker.ended_within(self.code, now, round(rate.RETURN_S * fs_hz))
        return rate.extreme_tachy(track, Limits()["EXTREME_TACHY"], on, returns)

    def may_alarm(self, r: NDArray[np.int64], fs_hz: float) -> bool:
        """Whether beats at ``r`` get near to the limit."""
        if len(r) < self.beats:
            return self.code == "EXTREME_BRADY"
        rates = 60.0 * (self.beats - 1) * fs_hz / (r[self.beats - 1 :] - r[: len(r) - self.beats + 1])
        return bool(rates.min() < self.near_bpm if self.code == "EXTREME_BRADY" else rates.max() > self.near_bpm)


RULES = (
    Rule(
        "EXTREME_TACHY",
        "t",
        {
            "RISE_BPM": (20.0, 25.0),
            "NEWEST_FASTER_BPM": (5.0, 10.0),
            "TACHY_HOLD_BPM": (5.0, 8.0),
            "RETURN_S": (0.0, 30.0, 60.0),
        },
        17,
        120.0,
    ),
    Rule(
        "EXTREME_BRADY",
        "b",
        {"BRADY_MARGIN_BPM": (1.0, 3.0, 5.0), "SLOW_BEAT_BPM": (5.0, 10.0, 15.0), "BRADY_HOLD_BPM": (5.0, 8.0)},
        2,
        60.0,
    ),
)
BEATS = 50  # of each update: the rule uses 17, and as many before them
ALARM_S, LOOK_S, STRICT_S, BURDEN_S = 300.0, 14.0, 10.0, 290.0
Update = tuple[int, BeatTrack | None]  # sample, and the beats where the rates were evaluated


@dataclass
class Record:
    """One record: sampling rate, updates, letter of its alarm, whether that is a true one, and its half."""

    fs_hz: float
    updates: list[Update]
    letter: str
    is_true: bool
    half: int


def updates_of(path: Path, fold: str) -> tuple[float, list[Update]]:
    """Beats of each update of a record in which rates were evaluated; None in the others."""
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
    """The newest beats of a track, as much as the rules use."""
    k = max(0, len(track.r) - BEATS)
    return replace(
        track,
        r=track.r[k:].copy(),
        kinds=list(track.kinds[k:]),
        qrs_ms=track.qrs_ms[k:].copy(),
        confidence=track.confidence[k:].copy(),
        correlation=track.correlation[k:].copy(),
    )


def episodes(rule: Rule, record: Record, constants: Constants) -> list[tuple[float, float, float | None]]:
    """Onset, detection and end (s; None: on) of each episode of a rule with these constants."""
    for name, value in constants.items():
        setattr(rate, name, value)
    tracker, found = EpisodeTracker(record.fs_hz), {}
    for now, track in record.updates:
        finding = None if track is None else rule.finding(track, tracker, now, record.fs_hz)
        findings = [] if finding is None else [finding]
        for e in tracker.update(findings, now, () if track is not None else (rule.code,)):
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


def evaluate(rule: Rule, records: list[Record], constants: Constants) -> Result:
    """The result of these constants."""
    true = missed = strict = false = sounded = 0
    on_s = 0.0
    for record in records:
        found = episodes(rule, record, constants) if near(rule, record) else []
        raised = any(end is None or max(end, at) >= ALARM_S - LOOK_S for _, at, end in found)
        late = any(max(onset, at) >= ALARM_S - STRICT_S for onset, at, _ in found)
        if record.letter == rule.letter:
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


def near(rule: Rule, record: Record) -> bool:
    """Whether the rate of a record gets near to the limit of the rule."""
    beats = [track.r for _, track in record.updates if track is not None]
    return bool(beats) and rule.may_alarm(np.unique(np.concatenate(beats)), record.fs_hz)


def candidates(rule: Rule) -> Iterator[Constants]:
    """All combinations of the constants of a rule."""
    for values in itertools.product(*rule.candidates.values()):
        yield dict(zip(rule.candidates, values, strict=True))


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
        out.append(Record(fs_hz, updates, name[0], is_true, int(row["patient_block"]) % 2))
    return out


def table(records: list[Record]) -> str:
    """The committed page."""
    lines = [
        "# Extreme rates with constants chosen on other patients",
        "",
        f"`python benchmarks/alarm_halves.py`: {len(records)} records of CinC 2015, weights that never saw the fold.",
    ]
    for rule in RULES:
        lines += ["", f"## {rule.code}", "", *rows_of(rule, [[r for r in records if r.half == k] for k in (0, 1)])]
    return "\n".join(lines) + "\n"


def rows_of(rule: Rule, halves: list[list[Record]]) -> list[str]:
    """Choose the constants of a rule on each half, and report them on the other."""
    shipped = {name: float(getattr(rate, name)) for name in rule.candidates}
    results = [[(c, evaluate(rule, half, c)) for c in candidates(rule)] for half in halves]
    lines = [
        "| reported on | constants | chosen on | true | missed | missed, strict | false | alarms an hour | alarm on |",
        "|" + "---|" * 9,
    ]

    def row(half: int, constants: Constants, chosen: str) -> str:
        r = evaluate(rule, halves[half], constants)
        words = ", ".join(f"{value:g}" for value in constants.values())
        return (
            f"| half {half} ({len(halves[half])}) | {words} | {chosen} | {r.true} | {r.missed} | {r.strict_missed} "
            f"| {r.false} | {r.per_hour:.1f} | {r.on_percent:.1f} % |"
        )

    for half in (0, 1):
        best: tuple[Constants, Any] = min(results[1 - half], key=lambda x: (x[1].missed, x[1].per_hour))
        lines += [row(half, best[0], f"half {1 - half}"), row(half, shipped, "both: those of the code")]
    for name, value in shipped.items():
        setattr(rate, name, value)
    values = "; ".join(f"{name} {', '.join(f'{v:g}' for v in vs)}" for name, vs in rule.candidates.items())
    return [*lines, "", f"Constants, in the order of the rows, and their candidates: {values}."]


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
