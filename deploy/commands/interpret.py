"""``gem-bedside interpret RECORD…``: the alert document of one 10-s window, interpreted with cited intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands.options import Channels, Fs, Json, ModelDir, Records, VoltageUnit

if TYPE_CHECKING:
    from deploy.output import Output
    from models.ecg import EcgSource
    from streams.alert import Alert


def command(
    records: Records,
    start_s: Annotated[float, typer.Option("--start", metavar="S", min=0.0, help="Start of the window, s.")] = 0.0,
    model: ModelDir = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="File for the page with the cited intervals.")
    ] = None,
    measured: Annotated[bool, typer.Option("--measured", help="Rule-based report, without GEM.")] = False,
    fs: Fs = None,
    channels: Channels = None,
    unit: VoltageUnit = None,
    as_json: Json = False,
) -> None:
    """Interpret one 10-s window of each record."""
    from agents.settings import Settings
    from deploy.failures import CommandFailed, WrongUse
    from deploy.fold import fold_asked
    from deploy.model_loading import load_reader
    from deploy.output import Output, complain
    from deploy.record_alert import window_alert
    from deploy.record_options import RecordOptions

    if plot is not None and len(records) > 1:
        raise WrongUse("--plot draws one record: give one, or leave it out")
    options = RecordOptions.parsed(fs, channels, unit)
    settings = Settings()
    limits = settings.limits_of("", "", {})
    out = Output(as_json)
    read = load_reader(model, measured)
    failed = 0
    for record in records:
        try:
            ecg = options.open(record)
            alert = window_alert(ecg, start_s, limits, settings.rhythm, read, fold=fold_asked())
        except (OSError, ValueError) as error:
            failed += 1
            out.line({"record": record, "error": str(error)}) if as_json else complain(f"{record}: {error}")
            continue
        if plot is not None:
            draw_page(ecg, alert, plot)
        if as_json:
            out.line({"record": record, "start_s": start_s, "alert": alert.model_dump(mode="json", by_alias=True)})
        else:
            _show(out, record, start_s, alert)
    if failed:
        raise CommandFailed(f"{failed} of {len(records)} records could not be interpreted")


def draw_page(ecg: EcgSource, alert: Alert, path: Path) -> None:
    """Draw the 12-lead page (or one row per lead) of the alert's segment, with the cited intervals."""
    from PIL import Image

    from models.gem.page import Mark, people_page

    assert alert.segment is not None
    start = round(alert.segment.start.timestamp() * ecg.fs_hz)
    window = ecg.slice(start, start + round(alert.segment.duration_s * ecg.fs_hz))
    marks = [Mark(lead, c.start_s, c.end_s, f"[{c.n}]") for c in alert.citations for lead in c.leads]
    Image.fromarray(people_page(window, marks)).save(path)


def _show(out: Output, record: str, start_s: float, alert: Alert) -> None:
    from deploy.alert_text import citation_text

    interpretation = alert.interpretation
    assert interpretation is not None
    out.console.print(f"[bold]{record}[/bold]  {start_s:g}–{start_s + 10:g} s  {alert.title}")
    out.console.print(interpretation.text, markup=False)
    for citation in alert.citations:
        out.console.print(f"  {citation_text(citation)}", markup=False, style="yellow")
    counts: dict[str, Any] = interpretation.counts.model_dump()
    reason = "" if interpretation.reason is None else f" ({interpretation.reason})"
    claims = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)
    source = f"{interpretation.source}{reason}, {interpretation.seconds:.2f} s"
    out.console.print(f"  {source}; claims: {claims}\n", markup=False, style="dim")
