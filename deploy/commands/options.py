"""Options of several commands, defined once."""

from __future__ import annotations

from typing import Annotated

import typer

Records = Annotated[
    list[str], typer.Argument(metavar="RECORD…", help="WFDB record (path without extension), EDF, BDF or CSV file.")
]
Fs = Annotated[
    float | None, typer.Option("--fs", help="Sampling rate of CSV files, Hz; else that of their time column.")
]
Channels = Annotated[
    str | None,
    typer.Option("--channels", metavar="A,B", help="Channels to take, by label; else every ECG channel."),
]
VoltageUnit = Annotated[
    str | None, typer.Option("--unit", metavar="mV|uV", help="Unit of all channels, whatever the file says.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line on standard output.")]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Processes for several records; 0: one per core.")]
ModelDir = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="DIR", help="Folder of a checkpoint; else GEM_BEDSIDE_MODEL, else the shipped compact one."
    ),
]
By = Annotated[str, typer.Option("--by", metavar="WHO", help="Person who acts, for the bed's audit log.")]
Unit = Annotated[str | None, typer.Option("--unit", help="This unit alone.")]
