"""``gem-bedside worker monitor|interpreter|publisher``: one Faust worker until SIGTERM."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Run one worker until SIGTERM.", pretty_exceptions_enable=False)


@app.command()
def monitor() -> None:
    """Reassemble each bed's signal, analyse its rhythm, write alerts and beds."""
    _run("monitor")


@app.command()
def interpreter() -> None:
    """Interpret flagged segments with GEM, or by rules."""
    _run("interpreter")


@app.command()
def publisher() -> None:
    """Write alerts, beds, strips and vitals to Redis, and people's actions to Kafka."""
    _run("publisher")


def _run(name: str) -> None:
    from agents.run import run_worker

    raise typer.Exit(run_worker(name))
