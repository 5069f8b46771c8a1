"""``gem-bedside alarms RECORD…``: every alarm condition of each record, causal, with ``sounded``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands.options import Channels, Fs, Jobs, Json, Records, VoltageUnit

if TYPE_CHECKING:
    from models.arrhythmia.limits import Limits, RhythmSettings
    from models.ecg import EcgSource


def command(
    records: Records,
    fs: Fs = None,
    channels: Channels = None,
    unit: VoltageUnit = None,
    as_json: Json = False,
    until_s: Annotated[float | None, typer.Option("--until", metavar="S", min=0.0, help="Stop at this second.")] = None,
    jobs: Jobs = 0,
) -> None:
    """Find the alarm conditions of records, as a live bed would."""
    from agents.settings import Settings
    from deploy.fold import fold_asked
    from deploy.output import Output
    from deploy.record_answers import answer_records
    from deploy.record_options import RecordOptions

    settings = Settings()
    limits = settings.limits_of("", "", {})
    out = Output(as_json)
    work = partial(alarmed, limits=limits, settings=settings.rhythm, until_s=until_s, fold=fold_asked())
    answer_records(records, RecordOptions.parsed(fs, channels, unit), work, out, partial(_show, out), jobs)


def alarmed(
    ecg: EcgSource, limits: Limits, settings: RhythmSettings, until_s: float | None = None, *, fold: str | None = None
) -> dict[str, Any]:
    """The answer for one ECG, without the key ``record``."""
    from deploy.alarm_events import alarm_events

    return {"fs": ecg.fs_hz, "events": alarm_events(ecg, limits, settings, until_s, fold=fold)}


_COLOURS = {"PH": "bold white on red", "PM": "black on yellow", "PL": "black on cyan", "PN": ""}


def _show(out: Any, answer: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{answer['record']}  {len(answer['events'])} conditions", title_justify="left")
    for name, justify in (
        ("alarm", "left"),
        ("onset s", "right"),
        ("detected s", "right"),
        ("end s", "right"),
        ("sounded", "left"),
        ("citation", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for e in answer["events"]:
        first = e["citations"][0] if e["citations"] else None
        cited = (
            ""
            if first is None
            else (
                f"{first['measure']} {first['value']:.4g} {first['unit']}, {', '.join(first['leads'])}, "
                f"{first['start_s']:.2f}–{first['end_s']:.2f} s"
            )
        )
        table.add_row(
            Text(e["code"], style=_COLOURS[e["priority"]]),
            f"{e['onset_s']:.2f}",
            f"{e['detected_s']:.2f}",
            "–" if e["end_s"] is None else f"{e['end_s']:.2f}",
            "yes" if e["sounded"] else "",
            cited,
        )
    out.console.print(table)
