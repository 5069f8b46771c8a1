"""Technical alarms on real recordings: how many, and for which share of the usable time.

Counts NOISY_SIGNAL, LEADS_OFF and CANNOT_ANALYZE on the records of a folder, as the rhythm tier of a live bed raises
them, one update a second. CANNOT_ANALYZE is on where no update of the last 10 s was judged and no NOISY_SIGNAL is on:
the rule of `agents.monitor.watchdog`, on signal without gaps. An update is judged where usable leads were there for the
limit of ASYSTOLE without a break. Usable time is the time with a usable lead. The table is technical_alarms.md.

    python benchmarks/technical_alarms.py FOLDER… [--every N] [--until S] [--progress FILE] [--json FILE]

All records take an hour of a core. With ``--progress`` each record's result is kept as one line, so that a run that was
stopped goes on where it was; a file of other code must be removed first.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from models.arrhythmia.tier import RhythmTier, update_chunks
from models.records import read_record

NO_VERDICT_S = 10.0  # limit of CANNOT_ANALYZE
EARLY_S = 0.5  # the watchdog acts one tick early
JUDGED_S = 4.0  # usable signal without a break that a verdict needs: the limit of ASYSTOLE
CODES = ("NOISY_SIGNAL", "LEADS_OFF", "CANNOT_ANALYZE")


def technical_alarms(record: Path, until_s: float | None) -> dict[str, float]:
    """Episodes and seconds of each code in one record, with its usable and its total seconds."""
    ecg = read_record(record)
    tier = RhythmTier(ecg.leads, ecg.fs_hz, paced=ecg.paced)
    out: Counter[str] = Counter()
    judged_s = usable_from_s = 0.0
    was_on = dict.fromkeys(CODES, False)
    for chunk in update_chunks(ecg, until_s):
        result = tier.push(chunk)
        now_s = result.now / ecg.fs_hz
        if not result.usable_leads:
            usable_from_s = now_s
        if getattr(result, "judged", now_s - usable_from_s >= JUDGED_S) and now_s - usable_from_s >= JUDGED_S:
            judged_s = now_s
        on = {e.code for e in result.episodes if e.end is None}
        if now_s - judged_s >= NO_VERDICT_S - EARLY_S and "NOISY_SIGNAL" not in on:
            on.add("CANNOT_ANALYZE")
        for code in CODES:
            out[code] += code in on and not was_on[code]
            out[f"{code} s"] += code in on
            out[f"{code} usable s"] += code in on and bool(result.usable_leads)
            was_on[code] = code in on
        out["usable s"] += bool(result.usable_leads)
        out["s"] += 1
    return dict(out)


def _known(progress: Path | None) -> dict[str, dict[str, float]]:
    """Results of an earlier run by record and length."""
    lines = progress.read_text().splitlines() if progress is not None and progress.exists() else []
    return {row["key"]: row["found"] for row in map(json.loads, lines)}


def main() -> None:
    """Print one line a folder and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1, help="every N-th record")
    parser.add_argument("--until", type=float, default=None, help="seconds of each record")
    parser.add_argument("--progress", type=Path, default=None, help="results by record; what it has is not run again")
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    known = _known(args.progress)
    rows = {}
    for folder in args.folders:
        total: Counter[str] = Counter()
        records = sorted(p.with_suffix("") for p in folder.glob("*.hea"))[:: args.every]
        for record in records:
            key = f"{record} {args.until}"
            if key not in known:
                known[key] = technical_alarms(record, args.until)
                if args.progress is not None:
                    with args.progress.open("a") as out:
                        out.write(json.dumps({"key": key, "found": known[key]}) + "\n")
            total.update(known[key])
        rows[folder.parent.name] = {"records": len(records), **total}
    head = ("records", "hours", "code", "episodes", "seconds", "of these usable", "share of usable time")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name, row in rows.items():
        for code in CODES:
            usable = row[f"{code} usable s"]
            share = 100.0 * usable / max(1, row["usable s"])
            cells = (f"{name} ({row['records']})", f"{row['s'] / 3600:.1f}", code, row[code], row[f"{code} s"], usable)
            print("| " + " | ".join(map(str, cells)) + f" | {share:.2f} % |")
    if args.json is not None:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
