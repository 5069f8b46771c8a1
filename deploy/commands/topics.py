"""``gem-bedside topics``: create the topics of the site, or check those that are there."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.commands.options import Json


def command(
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the topics over from a site whose workers have ended.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create the topics, or check them; another number of partitions is rejected."""
    from agents.settings import Settings
    from deploy.failures import CommandFailed, needs_kafka
    from deploy.output import Output
    from deploy.services import topics_of
    from streams.site_claim import PrefixTaken, claim_prefix
    from streams.topics import TopicMismatch, ensure_topics

    settings = Settings()
    out = Output(as_json)
    with needs_kafka(settings):
        try:
            topics, login = topics_of(settings), settings.kafka_security.client_options()
            states = ensure_topics(settings.kafka, topics, replication=settings.replication, **login)
            claim_prefix(settings.kafka, topics, settings.site, take_over=take_over, **login)
        except (TopicMismatch, PrefixTaken) as mismatch:
            raise CommandFailed(str(mismatch)) from mismatch
    for state in states:
        differs = {name: {"found": found, "planned": planned} for name, (found, planned) in state.differs.items()}
        if as_json:
            out.line(
                {"topic": state.name, "partitions": state.partitions, "created": state.created, "differs": differs}
            )
        else:
            notes = "".join(f"  {name} is {d['found']}, planned {d['planned']}" for name, d in differs.items())
            out.console.print(
                f"{state.name:28} {state.partitions} partitions  {'created' if state.created else 'exists'}{notes}"
            )
