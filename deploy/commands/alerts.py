"""``gem-bedside alerts list|tail|ack|rebuild``: the alerts in Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands.options import By, Json, Unit

if TYPE_CHECKING:
    from deploy.output import Output
    from streams.alert import Alert

app = typer.Typer(
    no_args_is_help=True, help="Alerts: list, follow, acknowledge, rebuild.", pretty_exceptions_enable=False
)


@app.command("list")
def list_alerts(
    unit: Unit = None,
    every: Annotated[bool, typer.Option("--all", help="Also alerts that are off and still in the streams.")] = False,
    as_json: Json = False,
) -> None:
    """List the alerts that are not off."""
    from deploy.output import Output
    from deploy.redis_view import newest_versions
    from deploy.services import ward_view

    out = Output(as_json)
    with ward_view() as view:
        if every:
            alerts = newest_versions(view.redis, view.keys.site, unit)
        else:
            alerts = [a for name in (view.units() if unit is None else [unit]) for a in view.open_alerts(name)]
    for alert in alerts:
        _print(out, alert)


@app.command()
def tail(
    unit: Unit = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest entries.")] = False,
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.0, help="End after this many seconds.")] = None,
    count: Annotated[int | None, typer.Option("--count", min=1, help="End after this many versions.")] = None,
    as_json: Json = False,
) -> None:
    """Print every version of every alert on its arrival."""
    from deploy.output import Output
    from deploy.redis_view import alert_versions
    from deploy.services import ward_view

    out = Output(as_json)
    until = None if seconds is None else time.monotonic() + seconds
    n_versions = 0
    with ward_view() as view:
        for version in alert_versions(view.redis, view.keys.site, unit, from_start=from_start):
            if version is not None:
                _print(out, version[1])
                n_versions += 1
            if (count is not None and n_versions >= count) or (until is not None and time.monotonic() >= until):
                return


@app.command()
def ack(
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the alert, or its first digits.")],
    by: By,
    as_json: Json = False,
) -> None:
    """Acknowledge an alert."""
    from deploy.action_submission import submit
    from deploy.failures import CommandFailed, WrongUse
    from deploy.output import Output
    from deploy.services import ward_view

    out = Output(as_json)
    with ward_view() as view:
        alert = view.alert(alert_id)
        if alert is None:
            found = [a for name in view.units() for a in view.open_alerts(name) if a.id.startswith(alert_id)]
            if len(found) > 1:
                raise WrongUse(f"{len(found)} open alerts begin with {alert_id}: give more digits")
            if not found:
                raise CommandFailed(f"no open alert {alert_id}: `gem-bedside alerts list` lists the open ones")
            alert = found[0]
        submit(view, out, "acknowledge", alert.bed_stream, by, {}, alert_id=alert.id)


@app.command()
def rebuild(as_json: Json = False) -> None:
    """Write hashes, sets and strips again from Kafka; streams stay unchanged."""
    from agents.settings import Settings
    from deploy.failures import needs_kafka
    from deploy.output import Output
    from deploy.services import topics_of, ward_view
    from streams.rebuild import rebuild as rebuild_redis

    settings = Settings()
    out = Output(as_json)
    with ward_view() as view, needs_kafka(settings):
        written = rebuild_redis(
            view.redis, settings.site, settings.kafka, topics_of(settings), **settings.kafka_security.client_options()
        )
    if as_json:
        out.line(dict(written))
    else:
        out.console.print("written: " + ", ".join(f"{n} {kind}" for kind, n in written.items()))


def _print(out: Output, alert: Alert) -> None:
    if out.as_json:
        out.line(alert.to_json())
        return
    from deploy.alert_text import alert_lines

    out.console.print(alert_lines(alert))
