"""``gem-bedside beds list|admit|discharge|standby|resume|limits|baseline``: beds, and people's actions on them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from deploy.commands.options import By, Json, Unit

app = typer.Typer(
    no_args_is_help=True,
    help="Beds: list, admit, discharge, standby, resume, limits, baseline.",
    pretty_exceptions_enable=False,
)
BedName = Annotated[str, typer.Argument(metavar="BED", help="Bed stream, as icu-3/07.")]


@app.command("list")
def list_beds(unit: Unit = None, as_json: Json = False) -> None:
    """List all beds with their newest vitals."""
    from deploy.output import Output
    from deploy.services import ward_view

    out = Output(as_json)
    with ward_view() as view:
        beds = [b for name in (view.units() if unit is None else [unit]) for b in view.beds(name)]
    for bed_view in beds:
        bed, vitals = bed_view.bed, bed_view.vitals
        if as_json:
            doc = bed.model_dump(mode="json", by_alias=True, exclude={"alerts"})
            out.line(
                doc
                | {
                    "vitals": None if vitals is None else vitals.model_dump(mode="json", by_alias=True),
                    "last_seen": bed_view.last_seen,
                    "judged": bed_view.judged(datetime.now(UTC)),
                }
            )
            continue
        rate = "–" if vitals is None or vitals.hr is None else f"{vitals.hr:.0f}"
        rhythm = "" if vitals is None else vitals.rhythm or ""
        if not bed_view.judged(datetime.now(UTC)):
            rate, rhythm = "–", "NOT MONITORED"
        out.console.print(f"{bed.bed_stream:16} {bed.status:10} {bed.patient or '–':14} HR {rate:>4}  {rhythm}")


@app.command()
def admit(
    bed: BedName,
    by: By,
    patient: Annotated[str, typer.Option("--patient", help="Pseudonym, as p-81f3.")],
    as_json: Json = False,
) -> None:
    """Admit a patient: monitoring begins, with new baselines."""
    _act("admit", bed, by, {"patient": patient}, as_json, known=False)


@app.command()
def discharge(bed: BedName, by: By, as_json: Json = False) -> None:
    """Discharge: open alerts end, none is raised, limits and baseline are cleared."""
    _act("discharge", bed, by, {}, as_json)


@app.command()
def standby(bed: BedName, by: By, as_json: Json = False) -> None:
    """Standby: open alerts end, none is raised until resume."""
    _act("standby", bed, by, {}, as_json)


@app.command()
def resume(bed: BedName, by: By, as_json: Json = False) -> None:
    """End standby."""
    _act("resume", bed, by, {}, as_json)


@app.command()
def baseline(bed: BedName, by: By, as_json: Json = False) -> None:
    """Reset the baselines of ST, QRS and PR; the next five usable minutes set them."""
    _act("baseline", bed, by, {}, as_json)


@app.command()
def limits(
    bed: BedName,
    by: By,
    code: Annotated[str, typer.Argument(metavar="CODE", help="Alarm code, as BRADY.")],
    rate: Annotated[float | None, typer.Option(help="Beats per minute.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Seconds.")] = None,
    beats: Annotated[int | None, typer.Option(help="Beats in a row.")] = None,
    mv: Annotated[float | None, typer.Option(help="Millivolts.")] = None,
    ms: Annotated[float | None, typer.Option(help="Milliseconds.")] = None,
    on: Annotated[
        bool | None, typer.Option("--on/--off", help="Switch the alarm on or off; a lethal one stays on.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Restore the unit's limits.")] = False,
    as_json: Json = False,
) -> None:
    """Change the limits of one alarm at a bed."""
    from agents.settings import Settings
    from deploy.failures import CommandFailed, WrongUse

    given = {"rate": rate, "seconds": seconds, "beats": beats, "mv": mv, "ms": ms, "on": on}
    changes: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if reset == bool(changes):
        raise WrongUse("name a change (--rate, --seconds, --beats, --mv, --ms, --on, --off), or --reset alone")
    change = {code.upper(): None if reset else changes}
    try:
        Settings().limits_of("", bed, change)
    except ValueError as rejected:
        raise CommandFailed(f"rejected: {rejected}") from rejected
    _act("limits", bed, by, change, as_json)


def _act(name: Any, bed: str, by: str, args: dict[str, Any], as_json: bool, known: bool = True) -> None:
    from deploy.action_submission import submit
    from deploy.failures import CommandFailed
    from deploy.output import Output
    from deploy.services import ward_view

    out = Output(as_json)
    with ward_view() as view:
        if known and view.bed(bed) is None:
            raise CommandFailed(f"no bed {bed}: `gem-bedside beds list` lists the beds that have sent a signal")
        submit(view, out, name, bed, by, args)
