"""Options that several commands share, spelled and explained once."""

from __future__ import annotations

from typing import Annotated

import typer

Records = Annotated[
    list[str], typer.Argument(metavar="RECORD…", help="WFDB record (path without extension), EDF or CSV file.")
]
Fs = Annotated[float | None, typer.Option("--fs", help="Sampling rate of CSV files, Hz.")]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object a line on standard output, and nothing else there.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Processes for several records; 0: one a core.")]
ModelDir = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="DIR", help="Folder of a checkpoint; else GEM_BEDSIDE_MODEL, else the shipped compact one."
    ),
]
By = Annotated[str, typer.Option("--by", metavar="WHO", help="Who asks: kept in the bed's record.")]
Unit = Annotated[str | None, typer.Option("--unit", help="Only this unit.")]
