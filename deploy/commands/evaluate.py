"""``gem-bedside evaluate parity FOLDER…``: our classes against fixtures of the reference, tensor by tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import Json

app = typer.Typer(no_args_is_help=True, help="Compare with the reference.", pretty_exceptions_enable=False)

Folders = Annotated[
    list[Path], typer.Argument(metavar="FOLDER…", help="Fixture folders; their kind is told by what they hold.")
]


@app.callback()
def _evaluate() -> None:
    """Keeps `parity` a command of its own while it is the only one."""


@app.command()
def parity(folders: Folders, as_json: Json = False) -> None:
    """Largest error of each tensor against its tolerance; exit status 1 when one is out."""
    from deploy.failures import CommandFailed, ServiceMissing, needs_extra
    from deploy.output import Output, complain

    out = Output(as_json)
    rows, bad, unread = 0, 0, 0
    for folder in folders:
        try:
            with needs_extra("gem"):
                from models.evaluation.parity import run_parity

                for row in run_parity(folder):
                    rows += 1
                    bad += not row.ok
                    if as_json:
                        out.line(row.to_json())
                    else:
                        mark = "[green]ok [/green]" if row.ok else "[red]out[/red]"
                        out.console.print(
                            f"{mark} {row.fixture:26} {row.tensor:40} {row.max_error!s:>10.10} of {row.tolerance:g}"
                        )
        except ServiceMissing:
            raise
        except Exception as error:  # one broken folder is that folder's answer; the others go on
            unread += 1
            problem = f"{error}" or type(error).__name__
            out.line({"fixture": folder.name, "error": problem}) if as_json else complain(f"{folder}: {problem}")
    if bad or unread:
        raise CommandFailed(f"{bad} of {rows} comparisons are out of tolerance; {unread} folders could not be compared")
