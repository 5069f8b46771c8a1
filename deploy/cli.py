"""``gem-bedside``: the command line; each file of `deploy.commands` holds one noun.

A command imports its packages when it runs, so that the start is fast. Logs go to standard error. `deploy.failures`
defines the exit statuses.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from deploy.commands import (
    access,
    alarms,
    alerts,
    audit,
    beds,
    demo,
    doctor,
    encode,
    evaluate,
    interpret,
    measure,
    replay,
    station,
    token,
    topics,
    verify,
    worker,
)
from deploy.failures import FAILED, WRONG_USE, CommandFailed, missing_package
from deploy.output import complain

app = typer.Typer(
    name="gem-bedside",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Streaming bedside ECG monitor: rhythm alarms within seconds, GEM interpretations with cited intervals.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RECORDS, _SERVICES = "Records (files in, JSON out)", "The ward (Kafka, Redis, workers)"

for _noun in (measure, alarms, interpret, encode, verify):
    app.command(_noun.__name__.rpartition(".")[2], rich_help_panel=_RECORDS)(_noun.command)
for _noun in (demo, replay, topics, station, token, audit, doctor):
    app.command(_noun.__name__.rpartition(".")[2], rich_help_panel=_SERVICES)(_noun.command)
app.add_typer(alerts.app, name="alerts", rich_help_panel=_SERVICES)
app.add_typer(beds.app, name="beds", rich_help_panel=_SERVICES)
app.add_typer(access.app, name="access", rich_help_panel=_SERVICES)
app.add_typer(worker.app, name="worker", rich_help_panel=_SERVICES)
app.add_typer(evaluate.app, name="evaluate", rich_help_panel=_RECORDS)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("gem-bedside"))
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    log_level: Annotated[
        str, typer.Option(help="Lowest level of the log on standard error: debug, info, warning, error.")
    ] = "warning",
) -> None:
    levels = logging.getLevelNamesMapping()
    if log_level.upper() not in levels:
        raise typer.BadParameter(f"{log_level} is not one of debug, info, warning, error", param_hint="--log-level")
    logging.basicConfig(
        stream=sys.stderr, level=levels[log_level.upper()], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def main() -> None:
    """Entry point of the command ``gem-bedside``."""
    try:
        app()
    except CommandFailed as failed:
        complain(str(failed))
        sys.stdout.flush()
        sys.exit(failed.status)
    except ValueError as wrong:
        if getattr(wrong, "title", "") != "Settings":  # pydantic names the model that is invalid
            raise
        complain(f"a setting (GEM_BEDSIDE_…, see docs/settings.md) is invalid: {wrong}")
        sys.exit(WRONG_USE)
    except ModuleNotFoundError as lost:
        missing = missing_package(lost)
        if missing is None:
            raise
        complain(str(missing))
        sys.exit(missing.status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output has ended
        os._exit(FAILED)


if __name__ == "__main__":
    main()
