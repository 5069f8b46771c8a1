"""``gem-bedside verify ALERT.json``: checks an alert document by code that shares nothing with the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands.options import Json

if TYPE_CHECKING:
    from deploy.output import Output
    from verification import Signal


def command(
    alert: Annotated[
        Path, typer.Argument(metavar="ALERT.json", help="Alert document, or a line of `interpret --json`.")
    ],
    strip: Annotated[
        Path | None, typer.Option("--strip", metavar="FILE", help="Signal of the segment: one EcgWindow message.")
    ] = None,
    record: Annotated[
        str | None, typer.Option("--record", metavar="R", help="WFDB record that holds the segment, without extension.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure each citation again and check each sentence; without a signal only the document in itself."""
    from deploy.failures import CommandFailed, WrongUse
    from deploy.output import Output
    from verification import verify

    if strip is not None and record is not None:
        raise WrongUse("--strip and --record: give one of them")
    try:
        document = json.loads(alert.read_text("utf-8"))
        found = document.get("alert", document)
        signal = _signal(found, document.get("start_s"), strip, record)
        report = verify(found, signal)
    except OSError as error:
        raise WrongUse(str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WrongUse(f"{alert} is not an alert with its signal: {type(error).__name__} {error}") from error
    out = Output(as_json)
    if as_json:
        out.line(report)
    else:
        _show(out, report)
    if not report["ok"]:
        raise CommandFailed(f"alert {report['id']}: something is wrong")


def _signal(alert: dict[str, Any], start_s: float | None, strip: Path | None, record: str | None) -> Signal | None:
    from verification import read_record, read_strip, seconds_of

    used, segment = tuple(alert["leads"]), alert["segment"]
    if strip is not None:
        return read_strip(strip.read_bytes(), used)
    if record is None or segment is None:  # a technical alarm may have no segment
        return None
    begin = seconds_of(segment["start"]) if start_s is None else start_s
    return read_record(Path(record), begin, segment["duration_s"], used)


def _show(out: Output, report: dict[str, Any]) -> None:
    for c in report["citations"]:
        out.console.print(f"  [{c['n']}] {c['verdict']} {c['why']}", markup=False)
    for s in report["sentences"]:
        out.console.print(f"  {s['verdict']}: {s['text']} {s['why'] and '– ' + s['why']}", markup=False)
    for fault in report["alert"]:
        out.console.print(f"  alert: {fault}", markup=False)
    out.console.print("ok" if report["ok"] else "something is wrong")
