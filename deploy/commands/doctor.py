"""``gem-bedside doctor``: check of the installation, the services and the models."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.commands.options import Json


def command(
    as_json: Json = False,
    reach: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="An address that must answer with status 200; repeatable.")
    ] = None,
) -> None:
    """Check the installation, the services and the models."""
    from agents.settings import Settings
    from deploy.doctor import diagnose
    from deploy.failures import CommandFailed
    from deploy.output import Output

    out = Output(as_json)
    checks = diagnose(Settings(), reach or [])
    ok = all(check.ok for check in checks)
    if as_json:
        rows = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks]
        out.line({"ok": ok, "checks": rows})
    else:
        for check in checks:
            mark = "[green]ok  [/green]" if check.ok else "[red]not [/red]"
            out.console.print(f"{mark}{check.name:12} {check.detail}")
    if not ok:
        raise CommandFailed(f"failed checks: {', '.join(check.name for check in checks if not check.ok)}")
