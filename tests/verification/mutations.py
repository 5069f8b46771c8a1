"""Mutation test of the verifier: share of corruptions that it finds, and of true alerts that it accuses.

``python -m tests.verification.mutations --n 10000 --write`` makes alerts of recordings with the product, corrupts those
that are true, and writes ``benchmarks/verification.md``. In a true alert the independent scorer (folder
GEM_BEDSIDE_TEST_SCORE) finds no fault, and it is not in ``reviewed.toml``, the list of faults found by review.
``--documents`` takes lines of ``gem-bedside interpret --json`` in place of new alerts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.truth import with_context
from tests.verification.corruptions import KINDS, corrupt
from verification import Signal, read_record, seconds_of, verify

ROOT = Path(__file__).resolve().parent.parent.parent
SEED = 14


@dataclass
class Score:
    """Corruptions by kind, those missed, and the true alerts."""

    made: Counter[str] = field(default_factory=Counter)
    missed: list[tuple[str, str, str]] = field(default_factory=list)
    alerts: int = 0

    @property
    def caught(self) -> float:
        """Share of the corruptions found."""
        return 1 - len(self.missed) / max(1, self.made.total())


Case = tuple[str, dict[str, Any], Signal]


def interpreted(records: Sequence[Path], start_s: float, *, gem: bool = False) -> Iterator[Case]:
    """Alert documents of records as ``gem-bedside interpret`` gives them, with their signals."""
    from agents.settings import Settings
    from deploy.model_loading import load_reader
    from deploy.record_alert import window_alert

    settings = Settings()
    limits, read = settings.limits_of("", "", {}), load_reader(None, not gem)
    for record in records:
        alert = window_alert(*with_context(record, start_s), limits, settings.rhythm, read, confirm=False)
        yield case_of(str(record), start_s, alert.model_dump(mode="json", by_alias=True))


def case_of(record: str, start_s: float, alert: dict[str, Any]) -> Case:
    """An alert document with the signal of its segment."""
    signal = read_record(Path(record), start_s, alert["segment"]["duration_s"], tuple(alert["leads"]))
    return record, alert, signal


def mutate(cases: Sequence[Case], n: int, seed: int = SEED) -> Score:
    """Corrupt alerts ``n`` times, kinds and alerts in turn, and verify each."""
    rng, score, kinds, tries = Random(seed), Score(alerts=len(cases)), list(KINDS), 0
    while score.made.total() < n and tries < 60 * n:
        tries += 1
        kind = kinds[tries % len(kinds)]
        record, alert, signal = rng.choice(cases)
        made = corrupt(rng, alert, kind)
        if made is None:
            continue
        score.made[kind] += 1
        if verify(made[0], signal)["ok"]:
            score.missed.append((kind, Path(record).name, made[1]))
    return score


def mutate_in_processes(cases: Sequence[Case], n: int, jobs: int) -> Score:
    """`mutate` spread over processes, each with a seed of its own."""
    if jobs <= 1:
        return mutate(cases, n)
    shares = [n // jobs + (k < n % jobs) for k in range(jobs)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        parts = list(pool.map(mutate, [cases] * jobs, shares, range(SEED, SEED + jobs)))
    made: Counter[str] = sum((p.made for p in parts), Counter())
    return Score(made, [m for p in parts for m in p.missed], len(cases))


def scorer(folder: Path) -> Any:
    """The independent scorer, as a module; None without its folder."""
    path = folder / "verify.py"
    spec = importlib.util.spec_from_file_location("scorer", path)
    if not path.is_file() or spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def faultless(module: Any, record: str, alert: dict[str, Any], signal: Signal) -> bool:
    """Whether the scorer finds no fault in an alert."""
    if module is None:
        return True
    module.load = lambda *_: (dict(signal.mv), signal.fs)
    found = module.verify({"record": record, "start_s": 0.0, "alert": alert}, "")
    return not found["faults"]


def key_of(record: str, alert: dict[str, Any]) -> str:
    """Name of an alert in ``reviewed.toml``."""
    return f"{Path(record).name} {seconds_of(alert['segment']['start']):g} {alert['interpretation']['source']}"


def table(score: Score, made: int, accused: int, reviewed: int, *, kept: bool = False) -> str:
    """The committed table; ``kept``: of documents that were made before."""
    missed = Counter(kind for kind, _, _ in score.missed)
    rows = [f"| {kind} | {n} | {missed[kind]} | {1 - missed[kind] / n:.2%} |" for kind, n in score.made.items()]
    file = " --documents FILE" if kept else ""
    return f"""# Verification: corruptions found

`python -m tests.verification.mutations --n {score.made.total()}{file} --write`, seed {SEED}.
{made} alerts of real recordings, every fifth of LUDB, CinC 2015 and MIT-BIH;
{score.alerts} of them are true and were corrupted, each copy in one place. A corruption is
false by construction: `tests/verification/corruptions.py`.

| kind | corruptions | missed | found |
|---|---|---|---|
{chr(10).join(rows)}
| **all** | {score.made.total()} | {len(score.missed)} | **{score.caught:.2%}** |

True alerts accused: {accused} of {score.alerts + accused}.
{reviewed} alerts in which the independent scorer finds nothing are faulty by review
(`tests/verification/reviewed.toml`, with the reason); they are not among the true ones.
"""


def main() -> None:
    """Run the test, and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--documents", nargs="*", type=Path, default=[])
    asked = parser.parse_args()
    data = Path(os.environ.get("GEM_BEDSIDE_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
    judge = scorer(Path(os.environ.get("GEM_BEDSIDE_TEST_SCORE", ROOT.parent / "shared" / "score")).resolve())
    reviewed = tomllib.loads((Path(__file__).parent / "reviewed.toml").read_text("utf-8"))["alerts"]
    cases = [*documents(asked.documents)] if asked.documents else [*recordings(data)]
    true = [case for case in cases if case[1]["citations"] and faultless(judge, *case)]
    looked_at = [case for case in true if key_of(case[0], case[1]) in reviewed]
    true = [case for case in true if key_of(case[0], case[1]) not in reviewed]
    accused = [case for case in true if not verify(case[1], case[2])["ok"]]
    for record, alert, signal in accused:
        print("accused:", key_of(record, alert), json.dumps(verify(alert, signal), ensure_ascii=False))
    score = mutate_in_processes([case for case in true if case not in accused], asked.n, asked.jobs)
    text = table(score, len(cases), len(accused), len(looked_at), kept=bool(asked.documents))
    print(text, *score.missed, sep="\n")
    if asked.write:
        (ROOT / "benchmarks" / "verification.md").write_text(text, "utf-8")


def documents(files: Sequence[Path]) -> Iterator[Case]:
    """Cases of files with lines of ``gem-bedside interpret --json``."""
    for file in files:
        for line in file.read_text("utf-8").splitlines():
            document = json.loads(line)
            if "alert" in document:
                yield case_of(document["record"], document["start_s"], document["alert"])


def recordings(data: Path) -> Iterator[Case]:
    """Cases of every fifth recording of the sets."""
    for pattern, start_s in (("ludb/data/*.hea", 0.0), ("cinc2015/records/*.hea", 290.0), ("mitdb/data/*.hea", 60.0)):
        found = [path.with_suffix("") for path in sorted(data.glob(pattern))][::5]
        yield from interpreted(found, start_s)


if __name__ == "__main__":
    main()
