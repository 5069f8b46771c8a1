"""``gem-bedside evaluate parity FOLDER…``: our classes against fixtures of the reference, tensor by tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import Json

app = typer.Typer(no_args_is_help=True, help="Compare with the reference.", pretty_exceptions_enable=False)


@app.callback()
def _evaluate() -> None:
    """Keeps `parity` a command of its own while it is the only one."""


@app.command()
def parity(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER…", help="Fixture folders; their kind is told by what they hold.")
    ],
    as_json: Json = False,
) -> None:
    """Largest error of each tensor against its tolerance; exit status 1 when one is out."""
    from deploy.failures import CommandFailed, needs_extra
    from deploy.output import Output

    out = Output(as_json)
    rows, bad = 0, 0
    with needs_extra("gem"):
        from models.evaluation.parity import compare

        for folder in folders:
            for row in compare(folder):
                rows += 1
                bad += not row.ok
                answer = {
                    "fixture": row.fixture,
                    "tensor": row.tensor,
                    "max_error": row.max_error,
                    "tolerance": row.tolerance,
                    "ok": row.ok,
                }
                if as_json:
                    out.line(answer)
                else:
                    mark = "[green]ok [/green]" if row.ok else "[red]out[/red]"
                    out.console.print(
                        f"{mark} {row.fixture:28} {row.tensor:36} {row.max_error!s:>12.12}  of {row.tolerance:g}"
                    )
    if bad:
        raise CommandFailed(f"{bad} of {rows} comparisons are out of tolerance")
