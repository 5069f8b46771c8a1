"""``gem-bedside measure RECORD…``: beats, fiducials, intervals and quality of each record."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands.options import Channels, Fs, Jobs, Json, Records, VoltageUnit

if TYPE_CHECKING:
    from models.ecg import EcgSource


def command(
    records: Records,
    fs: Fs = None,
    channels: Channels = None,
    unit: VoltageUnit = None,
    as_json: Json = False,
    start_s: Annotated[float | None, typer.Option("--from", metavar="S", help="Start, seconds.")] = None,
    stop_s: Annotated[float | None, typer.Option("--to", metavar="S", help="End, seconds.")] = None,
    jobs: Jobs = 0,
) -> None:
    """Measure beats, waves and intervals."""
    from deploy.failures import WrongUse
    from deploy.fold import fold_asked
    from deploy.output import Output
    from deploy.record_answers import answer_records
    from deploy.record_options import RecordOptions

    if (start_s or 0.0) < 0 or (stop_s is not None and stop_s <= (start_s or 0.0)):
        raise WrongUse(
            f"--from {start_s or 0:g} --to {stop_s if stop_s is not None else 'the end'} is an empty interval"
        )
    out = Output(as_json)
    work = partial(measured, start_s=start_s, stop_s=stop_s, fold=fold_asked())
    answer_records(records, RecordOptions.parsed(fs, channels, unit), work, out, partial(_show, out), jobs)


def measured(
    ecg: EcgSource, start_s: float | None = None, stop_s: float | None = None, *, fold: str | None = None
) -> dict[str, Any]:
    """The answer for one ECG, without the key ``record``.

    Raises
    ------
    ValueError
        The record ends before ``start_s``.
    """
    from models.measurement.measure import measure

    if start_s is not None and start_s >= ecg.duration_s:
        raise ValueError(f"--from {start_s:g} s is not in the record, which lasts {ecg.duration_s:.2f} s")
    return dict(measure(ecg, start_s=start_s, stop_s=stop_s, fold=fold).to_json_parts())


def _show(out: Any, answer: dict[str, Any]) -> None:
    from rich.table import Table

    seconds = answer["n_samples"] / answer["fs"]
    table = Table(
        title=f"{answer['record']}  {seconds:.1f} s, {answer['fs']:g} Hz, {len(answer['beats'])} beats",
        title_justify="left",
    )
    for name in answer["intervals"]:
        table.add_column(name, justify="right")
    units = {"HR": "bpm"}
    table.add_row(
        *("–" if v is None else f"{v:.0f} {units.get(name, 'ms')}" for name, v in answer["intervals"].items())
    )
    out.console.print(table)
    quality = "  ".join(f"{lead} {value:.2f}" for lead, value in answer["quality"].items())
    out.console.print(f"quality  {quality}\n")
