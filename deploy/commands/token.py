"""``gem-bedside token NAME``: a signed token with which a person logs in to the station."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Person, as GEM_BEDSIDE_STATION_ROLES names them.")],
    groups: Annotated[str, typer.Option("--groups", metavar="A,B", help="Groups of the person.")] = "",
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=744.0, help="Time until the token expires.")] = 12.0,
) -> None:
    """Print a signed token; whoever has it is that person until it expires."""
    from agents.settings import Settings
    from deploy.failures import WrongUse
    from station.tokens import KeysMissing, TokenKeys

    file = Settings().station_token_keys_file
    if file is None:
        raise WrongUse("GEM_BEDSIDE_STATION_TOKEN_KEYS_FILE names no file with keys (docs/security.md)")
    try:
        print(TokenKeys(file).signed(name, [group.strip() for group in groups.split(",") if group.strip()], hours))
    except KeysMissing as missing:
        raise WrongUse(str(missing)) from missing
