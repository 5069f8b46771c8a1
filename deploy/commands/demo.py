"""``gem-bedside demo``: a scripted ward on this machine, with embedded Kafka and Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import Fs


def command(
    beds: Annotated[int, typer.Option("--beds", min=0, help="Number of scripted beds; 0: the stack alone.")] = 8,
    records: Annotated[
        list[str] | None, typer.Option("--records", metavar="RECORD", help="A record to replay in a bed; repeatable.")
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", min=1.0, help="End after this many seconds.")] = None,
    report: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="File for the report.")] = None,
    ready: Annotated[
        Path | None,
        typer.Option("--ready", metavar="FILE", help="File for the addresses, written when the workers are ready."),
    ] = None,
    fs: Fs = None,
) -> None:
    """Run a scripted ward: eight beds, alarms, interpretations, station page."""
    import logging
    import signal

    from deploy.demo import run_demo
    from deploy.demo_view import DemoView
    from deploy.failures import CommandFailed, ServiceMissing
    from deploy.local import StartError
    from deploy.processes import ProgramEnded
    from models.records import read_record

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)  # as Ctrl-C: stop the programs in order
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it logs a connection that we close as an error
    try:
        signals = [read_record(record, fs) for record in records or []]
    except (OSError, ValueError) as wrong:
        raise CommandFailed(str(wrong)) from wrong
    try:
        run_demo(beds, signals, seconds, report, ready, DemoView())
    except StartError as failed:
        raise ServiceMissing(str(failed)) from failed
    except ProgramEnded as ended:
        raise CommandFailed(str(ended)) from ended
