"""Truth of whole alerts on real recordings: faults found by the verifier, and statements against the references.

``python -m benchmarks.truth --out DIR [--part dev|final] [--sources ludb,…] [--write]`` interprets the windows of
`benchmarks.truth_windows` as ``gem-bedside interpret`` does, verifies each alert (`verification`), and compares its
statements with the references. ``DIR/<set>.jsonl`` holds the documents (lines of ``interpret --json``): windows that
are in it are not interpreted again. ``--write`` keeps the table, ``benchmarks/truth.md``.

Context before a window is limited to `CONTEXT_S`, more than the alarms need for a verdict, so that long recordings take
no longer than short ones.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.truth_windows import (
    ABNORMAL,
    AF,
    BLOCK,
    ECTOPY,
    LETHAL,
    NORMAL,
    NOT_AF,
    RECORDS,
    SERIOUS,
    WINDOW_S,
    Window,
    windows,
)
from models.ecg import Ecg
from verification import read_record, verify
from verification.sentences import SPLIT, statements

ROOT = Path(__file__).resolve().parent.parent
CONTEXT_S = 110.0
DANGEROUS = ("sinus", "normal rate", "narrow", "AF")
UNDER = {"VTACH", "VFIB", "ASYSTOLE", "AV_BLOCK"}
VENTRICULAR = re.compile(r"ventricular|bigemin|trigemin|PVC|premature complex", re.IGNORECASE)


@dataclass
class Tally:
    """Counts over the documents of one set or all."""

    documents: int = 0
    gem: int = 0
    wrong: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    dangerous: list[str] = field(default_factory=list)
    af: Counter[str] = field(default_factory=Counter)
    normal: Counter[str] = field(default_factory=Counter)
    ectopy: Counter[str] = field(default_factory=Counter)


def interpreted(found: list[Window], file: Path, *, new: bool = True) -> Iterator[tuple[Window, dict[str, Any]]]:
    """The documents of the windows of one set: those in the file, and new ones, which are appended to it.

    Parameters
    ----------
    found : list of Window
    file : Path
        Lines of ``interpret --json``.
    new : bool
        False: those in the file alone.
    """
    from agents.settings import Settings
    from deploy.model_loading import load_reader
    from deploy.record_alert import window_alert

    known = {}
    if file.is_file():
        documents = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        known = {(d["record"], d["start_s"]): d for d in documents}
    settings, read = Settings(), None
    for window in found:
        document = known.get((str(window.record), window.start_s))
        if document is None and not new:
            continue
        if document is None:
            read = read or load_reader(None, False)
            cut, start_s = with_context(window.record, window.start_s)
            alert = window_alert(cut, start_s, settings.limits_of("", "", {}), settings.rhythm, read)
            document = {"record": str(window.record), "start_s": window.start_s}
            document["alert"] = alert.model_dump(mode="json", by_alias=True)
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(document, ensure_ascii=False) + "\n")
        yield window, document


def with_context(record: Path, start_s: float) -> tuple[Ecg, float]:
    """A window of a recording with the signal before it, up to `CONTEXT_S`, and seconds to the window's start."""
    from models.records import open_record

    ecg = open_record(record)
    before = max(0, round((start_s - CONTEXT_S) * ecg.fs_hz))
    return ecg.slice(before, round((start_s + WINDOW_S) * ecg.fs_hz)), start_s - before / ecg.fs_hz


def asserted_in(text: str) -> set[str]:
    """Findings that a text states, those marked as not confirmed too."""
    return {s.name for sentence in SPLIT.split(text) for s in statements(sentence) if s.asserted}


def confirmed(text: str) -> set[str]:
    """Findings that a text states without the mark "(not confirmed)"."""
    found = [s for sentence in SPLIT.split(text) for s in statements(sentence)]
    return {s.name for s in found if s.asserted and "(not confirmed)" not in s.words}


def count(tally: Tally, window: Window, alert: dict[str, Any], report: dict[str, Any]) -> None:
    """Add one document."""
    says, text, name = window.says, alert["interpretation"]["text"], f"{window.record.name} {window.start_s:g}"
    claims = asserted_in(text)
    tally.documents += 1
    tally.gem += alert["interpretation"]["source"] == "gem"
    tally.wrong += not report["ok"]
    tally.faults.update(kind_of(why) for why in faults_of(report))
    if alert["code"] in UNDER or says & {LETHAL, BLOCK}:
        tally.dangerous += [f"{name} {alert['code']}: {x}" for x in DANGEROUS if x in claims]
    if SERIOUS in says and "normal ECG" in claims:
        tally.dangerous.append(f"{name}: normal ECG")
    if says & {AF, NOT_AF}:
        tally.af[f"{'AF' if AF in says else 'no AF'}, {'asserted' if 'AF' in claims else 'not asserted'}"] += 1
    if "normal ECG" in claims and says & {NORMAL, ABNORMAL}:
        tally.normal["right" if NORMAL in says else "wrong"] += 1
    if ECTOPY in says:
        tally.ectopy["mentioned" if VENTRICULAR.search(text) else "missed"] += 1


def faults_of(report: dict[str, Any]) -> list[str]:
    """All faults of a report, in words."""
    parts = [x["why"] for x in (*report["citations"], *report["sentences"]) if x["verdict"] == "wrong"]
    return [y for x in [*parts, *report["alert"]] for y in x.split("; ")]


def kind_of(why: str) -> str:
    """The words of a fault without its numbers and names."""
    return re.sub(r"\s+", " ", re.sub(r"[-−+]?\d[\d.]*|'[^']*'|\[[^\]]*\]", "…", why))[:60]


def row(name: str, t: Tally) -> str:
    """One row of the table."""
    false, true = t.af["no AF, asserted"], t.af["AF, asserted"]
    without, with_af = false + t.af["no AF, not asserted"], true + t.af["AF, not asserted"]
    normal = t.normal.total()
    return (
        f"| {name} | {t.documents} | {t.gem} | {t.wrong} | {len(t.dangerous)} | {false} of {without} | {true} of "
        f"{with_af} | {t.normal['right']} of {normal} | {t.ectopy['mentioned']} of {t.ectopy.total()} |"
    )


def table(part: str, tallies: dict[str, Tally]) -> str:
    """The committed table."""
    total = sum(t.documents for t in tallies.values())
    every = Tally()
    for t in tallies.values():
        every.documents += t.documents
        every.gem += t.gem
        every.wrong += t.wrong
        every.faults += t.faults
        every.dangerous += t.dangerous
        for name in ("af", "normal", "ectopy"):
            setattr(every, name, getattr(every, name) + getattr(t, name))
    return f"""# Truth of whole alerts

`python -m benchmarks.truth --out DIR --part {part} --write`: {total} windows of 10 s, chosen by
a seed (`benchmarks/truth_windows.py`){" from recordings that nobody looked at" if part == "final" else ""}.

| set | alerts | by GEM | with a fault | dangerous | AF falsely | AF found | "normal ECG" right | V beats named |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(row(name, t) for name, t in tallies.items())}
{row("**all**", every)}

*With a fault*: the verifier finds a citation that does not re-measure, or a sentence against
citations, alarm or another sentence. *Dangerous*: sinus rhythm, a normal rate, narrow QRS
complexes or AF under `VTACH`, `VFIB`, `ASYSTOLE`, `AV_BLOCK` or where the references have one of
these; a normal ECG over AF, VT, block, infarction or long QT. Statements marked "(not confirmed)" count too.

Faults by kind: {", ".join(f"{k} ({n})" for k, n in every.faults.most_common()) or "none"}.
Dangerous: {"; ".join(every.dangerous) or "none"}.
"""


def main() -> None:
    """Interpret, verify, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", choices=("dev", "final"), default="dev")
    parser.add_argument("--sources", default=",".join(RECORDS))
    parser.add_argument("--known", action="store_true", help="count the documents that are there; make no new ones")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    data = Path(os.environ.get("GEM_BEDSIDE_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
    tallies: dict[str, Tally] = {}
    asked.out.mkdir(parents=True, exist_ok=True)
    for source in asked.sources.split(","):
        found = list(windows(data, asked.out, asked.part, [source]))
        for window, document in interpreted(found, asked.out / f"{source}.jsonl", new=not asked.known):
            alert = document["alert"]
            signal = read_record(window.record, window.start_s, alert["segment"]["duration_s"], tuple(alert["leads"]))
            report = verify(alert, signal)
            count(tallies.setdefault(source, Tally()), window, alert, report)
            if not report["ok"]:
                why = "; ".join(faults_of(report))
                print(source, window.record.name, f"{window.start_s:g}", alert["code"], why, file=sys.stderr)
    text = table(asked.part, tallies)
    print(text)
    if asked.write:
        Path(__file__).with_suffix(".md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
