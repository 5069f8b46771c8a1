"""Truth of alerts as a station has them: the demo's beds and replayed ICU records, through monitor and interpreter.

``python -m benchmarks.truth_beds --out FILE [--minutes N] [--records N] [--gem] [--known]
[--write]`` sends each bed through the
monitor's code and the interpreter's under an injected clock, and verifies every version of every alert with an ECG on
its strip (`verification`), as ``gem-bedside verify ALERT.json --strip FILE`` does. ``FILE`` holds the versions and
their strips, by bed: beds that are in it are not run again. The encoder's flags are left out: they are no alarms.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from agents.clock import ManualClock
from agents.interpreter.interpretation_message import message_of
from agents.interpreter.verified import finished, report_on_message
from agents.lifecycle.citation_documents import evidence_of
from agents.monitor.bed import BedMonitor, new_bed
from agents.monitor.flags import flag
from agents.settings import Settings
from benchmarks.truth import faults_of, kind_of
from deploy.model_loading import load_reader
from deploy.record_alert import Reader
from deploy.ward import QT_CONFIRM_S, WardBed, make_ward
from deploy.ward_telemetry import LSB_UV, loop_slice
from models.records import open_record
from models.signal.derived_leads import with_derived_leads
from streams.alert import Alert
from streams.document import ns_of_time
from streams.window import window_of_ecg
from streams.wire import FlaggedSegment, encode_window
from verification import read_strip, verify

ROOT = Path(__file__).resolve().parent.parent
S = 1_000_000_000
START_NS = 1_795_385_400 * S
SEED = 14
DEMO_BEDS = 8
RECORD_S = (120.0, 300.0)  # of a CinC 2015 record, whose alarm is at 300 s
Version = dict[str, Any]


def ward(data: Path, n_records: int) -> list[WardBed]:
    """The demo's beds, then replayed records of CinC 2015, chosen by a seed."""
    names = sorted(path.with_suffix("") for path in (data / "cinc2015" / "records").glob("*.hea"))
    chosen = Random(SEED).sample(names, n_records)
    records = [open_record(path) for path in chosen]
    cut = [ecg.slice(*(round(s * ecg.fs_hz) for s in RECORD_S)) for ecg in records]
    return make_ward(DEMO_BEDS, cut, ROOT / ".gem-bedside" / "ward")


def versions_of(bed: WardBed, seconds: float, read: Reader) -> Iterator[tuple[Alert, bytes]]:
    """Every version of every alert with a strip, in order, and the strip; the interpretation comes at once.

    Parameters
    ----------
    bed : WardBed
        Its signal loops; a silent interval sends nothing.
    seconds : float
        Length of the run.
    read : callable
        Drafts the interpretation.
    """
    settings, clock = Settings(qt_confirm_s=QT_CONFIRM_S, verify_share=1.0), ManualClock(START_NS)
    monitor = BedMonitor(new_bed(bed.bed_stream, bed.unit, bed.bed, START_NS, bed.patient), settings, clock)
    strips: dict[str, bytes] = {}
    fs, step = bed.ecg.fs_hz, bed.message_s
    for k in range(round(seconds / step)):
        at_s = k * step % bed.ecg.duration_s
        clock.set_ns(START_NS + round((k + 1) * step * S))
        if bed.silent is not None and bed.silent[0] <= at_s < bed.silent[1]:
            monitor.tick(caught_up=True)
            continue
        first, last = round(k * step * fs), round((k + 1) * step * fs)
        off = bed.leads_off is not None and bed.leads_off[0] <= at_s < bed.leads_off[1]
        part = loop_slice(bed.ecg, first, last)
        ecg = replace(part, start_ns=START_NS + round(first / fs * S), leads_off=part.leads if off else ())
        window = window_of_ecg(
            ecg, bed_stream=bed.bed_stream, unit=bed.unit, bed=bed.bed, patient=bed.patient, epoch=1, sequence=k,
            gateway_time_ns=clock.now_ns(), lsb_uv=LSB_UV,
        )  # fmt: skip
        for output in [*monitor.apply_window(window, k, clock.now_ns()), *monitor.tick(caught_up=True)]:
            windows = {strip.alert_id: strip.window for strip in output.strips}
            strips |= {name: encode_window(strip) for name, strip in windows.items()}
            for alert in output.alerts:
                if alert.id in strips:
                    yield alert, strips[alert.id]
                if alert.id in windows and (flagged := flag(alert)) is not None and alert.segment is not None:
                    segment = FlaggedSegment(
                        windows[alert.id], alert.id, alert.code, alert.priority, flagged.reason,
                        ns_of_time(alert.segment.start), clock.now_ns() + 60 * S, flagged.citations,
                    )  # fmt: skip
                    yield from _interpreted(monitor, segment, read, clock, k, strips[alert.id])


def _interpreted(
    monitor: BedMonitor, segment: FlaggedSegment, read: Reader, clock: ManualClock, offset: int, strip: bytes
) -> Iterator[tuple[Alert, bytes]]:
    """The version of an alert with its interpretation, as the interpreter worker makes it."""
    ecg = with_derived_leads(segment.window.to_ecg(segment.start_ns))
    draft = read(ecg, [evidence_of(c) for c in segment.citations], segment.code)
    interpretation, mark = finished(
        draft, lambda found: report_on_message(segment, message_of(segment, found, clock.now_ns()))
    )
    message = message_of(segment, interpretation, clock.now_ns())
    message = message.changed(interpretation=message.interpretation.changed(verified=mark))
    outputs, _ = monitor.apply_interpretation(message, offset)
    yield from ((alert, strip) for output in outputs for alert in output.alerts)


def main() -> None:
    """Run the beds, verify, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--records", type=int, default=8)
    parser.add_argument("--gem", action="store_true", help="the shipped GEM reads the beds that have leads for it")
    parser.add_argument("--known", action="store_true", help="count the beds that are there; run no new ones")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    data = Path(os.environ.get("GEM_BEDSIDE_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
    lines = asked.out.read_text("utf-8").splitlines() if asked.out.is_file() else []
    known: dict[str, list[Version]] = {x["bed"]: x["versions"] for x in map(json.loads, lines)}
    read = load_reader(None, not asked.gem)
    for bed in ward(data, asked.records):
        if bed.bed_stream not in known and not asked.known:
            found = [
                {"alert": alert.model_dump(mode="json", by_alias=True), "strip": base64.b64encode(strip).decode()}
                for alert, strip in versions_of(bed, 60 * asked.minutes, read)
            ]
            known[bed.bed_stream] = found
            with asked.out.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"bed": bed.bed_stream, "versions": found}, ensure_ascii=False) + "\n")
    text = table(asked.minutes, known)
    print(text)
    if asked.write:
        Path(__file__).with_suffix(".md").write_text(text, "utf-8")


def table(minutes: float, known: dict[str, list[Version]]) -> str:
    """The committed table; each fault goes to standard error."""
    return f"""# Truth of alerts on live beds

`python -m benchmarks.truth_beds --out FILE --minutes {minutes:g} --write`: the demo's beds and replayed records of
CinC 2015, {minutes:g} minutes each, through the monitor and the interpreter under an injected clock. Each version of
each alert that has a strip is verified on it.

{verified(known)}"""


def verified(known: dict[str, list[Version]]) -> str:
    """Versions with a fault by bed, and the faults by kind, in Markdown; each fault goes to standard error.

    Parameters
    ----------
    known : dict
        Versions by bed: ``alert``, the document, and ``strip``, its `EcgWindow` in base64.
    """
    rows, kinds, totals = [], Counter[str](), [0, 0, 0]
    for bed, versions in known.items():
        wrong = 0
        for version in versions:
            alert = version["alert"]
            report = verify(alert, read_strip(base64.b64decode(version["strip"]), tuple(alert["leads"])))
            if not report["ok"]:
                wrong += 1
                kinds.update(f"{alert['code']}: {kind_of(why)}" for why in faults_of(report))
                place = f"{bed} {alert['code']} {alert['id'][:8]} version {alert['version']}"
                print(place, alert["onset"], "; ".join(faults_of(report)), file=sys.stderr)
        alerts = {v["alert"]["id"]: v["alert"]["code"] for v in versions}
        codes = ", ".join(f"{code} {n}" for code, n in Counter(alerts.values()).most_common())
        rows.append(f"| {bed} | {codes} | {len(alerts)} | {len(versions)} | {wrong} |")
        totals = [a + b for a, b in zip(totals, (len(alerts), len(versions), wrong), strict=True)]
    return f"""| bed | alarms | alerts | versions | with a fault |
|---|---|---|---|---|
{chr(10).join(rows)}
| **all** | | {totals[0]} | {totals[1]} | {totals[2]} |

Faults by kind: {"; ".join(f"{k} ({n})" for k, n in kinds.most_common()) or "none"}.
"""


if __name__ == "__main__":
    main()
