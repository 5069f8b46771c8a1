"""Digests of what the rhythm tier finds in real records: equal before and after a change that must change nothing.

    python benchmarks/alarm_digests.py --data DIR --out before.json [--every 12] [--until 300]
    python benchmarks/alarm_digests.py --compare before.json after.json

In: every n-th record of MIT-BIH, CinC 2015, VFDB, CUDB and LUDB, to ``--until`` seconds. Out: for each record the
SHA-256 of the alarm events as ``gem-bedside alarms --json`` prints them, and that of the results of every second: beats
with kind, QRS duration and correlation, heart rate, rhythm, ST levels and quality. LUDB has ten seconds a record, so
each is repeated to a minute. Records that ``--out`` has already are not analysed again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import deploy.alarm_events as alarm_events  # noqa: E402
from models.arrhythmia.limits import Limits, RhythmSettings  # noqa: E402
from models.arrhythmia.result import RhythmResult  # noqa: E402
from models.arrhythmia.tier import RhythmTier  # noqa: E402
from models.ecg import Ecg, EcgSource  # noqa: E402
from models.records import open_record, read_record  # noqa: E402

FOLDERS = {
    "mitdb": "mitdb/data",
    "cinc2015": "cinc2015/records",
    "vfdb": "vfdb/data",
    "cudb": "cudb",
    "ludb": "ludb/data",
}
REPEATED = 6
PLAIN = re.compile(r"np\.float(?:32|64)\(([^()]*)\)")  # the number is compared, not its type


class _Listening(RhythmTier):
    """A rhythm tier that adds each result to a digest."""

    digest: Any = None

    def push(self, chunk: Ecg) -> RhythmResult:
        """The result of `RhythmTier.push`."""
        result = super().push(chunk)
        parts = (result.beats, result.hr, result.rhythm, result.pvc_per_min, result.st, result.quality, result.baseline)
        text = repr((result.now, result.usable_leads, *parts))
        self.digest.update(PLAIN.sub(r"\1", text).encode())
        return result


def record_of(path: Path, source: str) -> EcgSource:
    """The record; one of ten seconds is repeated."""
    if source != "ludb":
        record: EcgSource = open_record(path)
        return record
    ecg = read_record(path)
    return Ecg(ecg.leads, ecg.fs_hz, np.tile(ecg.mv, (1, REPEATED)))


def digests(path: Path, source: str, until_s: float) -> dict[str, Any]:
    """Digests of one record, and the codes of its alarms."""
    _Listening.digest = hashlib.sha256()
    events = alarm_events.alarm_events(record_of(path, source), Limits(), RhythmSettings(), until_s)
    return {
        "alarms": hashlib.sha256(json.dumps(events, sort_keys=True).encode()).hexdigest(),
        "seconds": _Listening.digest.hexdigest(),
        "codes": [[event["code"], event["onset_s"], event["detected_s"]] for event in events],
    }


def compare(before: dict[str, Any], after: dict[str, Any]) -> int:
    """Print the records that differ; the number of them."""
    both = sorted(before.keys() & after.keys())
    alarms = [name for name in both if before[name]["alarms"] != after[name]["alarms"]]
    seconds = [name for name in both if before[name]["seconds"] != after[name]["seconds"]]
    for name in sorted({*alarms, *seconds}):
        print(f"{name}: {'alarms ' if name in alarms else ''}{'results' if name in seconds else ''}")
        for event in before[name]["codes"]:
            if event not in after[name]["codes"]:
                print(f"  - {event}")
        for event in after[name]["codes"]:
            if event not in before[name]["codes"]:
                print(f"  + {event}")
    n = sum(len(before[name]["codes"]) for name in both)
    print(f"{len(both)} records, {n} alarms: alarms differ in {len(alarms)}, results of some second in {len(seconds)}")
    return len({*alarms, *seconds})


def main() -> None:
    """Write the digests of the records, or compare two files of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--every", type=int, default=12)
    parser.add_argument("--until", type=float, default=300.0)
    parser.add_argument("--sources", default=",".join(FOLDERS))
    parser.add_argument("--compare", type=Path, nargs=2)
    options = parser.parse_args()
    if options.compare:
        before, after = (json.loads(path.read_text()) for path in options.compare)
        raise SystemExit(compare(before, after) > 0)
    alarm_events.RhythmTier = _Listening  # type: ignore[attr-defined,misc]
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.is_file() else {}
    for source in options.sources.split(","):
        paths = sorted(path.with_suffix("") for path in (options.data / FOLDERS[source]).glob("*.hea"))
        for path in paths[:: options.every]:
            name = f"{source}/{path.name}"
            if name not in found:
                found[name] = digests(path, source, options.until)
                options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(found)} records in {options.out}")


if __name__ == "__main__":
    main()
