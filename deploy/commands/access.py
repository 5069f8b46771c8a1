"""``gem-bedside access kafka|redis``: the least privilege of each program, as commands of the servers."""

from __future__ import annotations

import typer

from deploy.commands.options import Json

app = typer.Typer(
    no_args_is_help=True, help="Rights that each program needs in Kafka and Redis.", pretty_exceptions_enable=False
)


@app.command()
def kafka(as_json: Json = False) -> None:
    """Arguments of ``kafka-acls.sh --bootstrap-server …``, for users named after the programs."""
    from agents.settings import Settings
    from deploy.services import topics_of
    from streams.access import kafka_commands

    settings = Settings()
    for program, command in kafka_commands(topics_of(settings), settings.site):
        _print(program, command, as_json)


@app.command()
def redis(as_json: Json = False) -> None:
    """``ACL SETUSER`` of each program; put the password in."""
    from agents.settings import Settings
    from streams.access import redis_commands

    for program, command in redis_commands(Settings().site):
        _print(program, command, as_json)


def _print(program: str, command: str, as_json: bool) -> None:
    from deploy.output import Output

    if as_json:
        Output(True).line({"program": program, "command": command})
    else:
        print(command)
