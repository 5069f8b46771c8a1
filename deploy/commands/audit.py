"""``gem-bedside audit``: who did what at the station and with the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.commands.options import Json


def command(
    newest: Annotated[int | None, typer.Option("--newest", min=1, help="The newest entries alone.")] = None,
    as_json: Json = False,
) -> None:
    """Print the audit, oldest first."""
    from deploy.output import Output
    from deploy.services import ward_view
    from streams.audit import read_entries

    out = Output(as_json)
    with ward_view() as view:
        for entry in read_entries(view.redis, view.keys.site, newest=newest):
            if as_json:
                out.line(entry)
            else:
                rest = " ".join(f"{name}={value}" for name, value in entry.items() if name not in ("at", "event"))
                print(entry.get("at", ""), entry.get("event", ""), rest)
