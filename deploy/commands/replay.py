"""``gem-bedside replay RECORD… --bed BED``: send records to Kafka as a bed would, in real time or faster."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.commands.options import Channels, Fs, Records, VoltageUnit


def command(
    records: Records,
    bed: Annotated[str, typer.Option("--bed", metavar="BED", help="Bed stream, as icu-3/07: unit, slash, bed.")],
    speed: Annotated[float, typer.Option("--speed", metavar="S", help="Factor of the speed; 1: real time.")] = 1.0,
    fs: Fs = None,
    channels: Channels = None,
    unit: VoltageUnit = None,
    patient: Annotated[str, typer.Option("--patient", help="Pseudonym, as p-81f3.")] = "",
    message_s: Annotated[
        float, typer.Option("--message", min=0.2, max=10.0, help="Length of a message, seconds.")
    ] = 1.0,
) -> None:
    """Send records to Kafka as if a bed recorded them now."""
    from agents.settings import Settings
    from deploy.failures import CommandFailed, WrongUse, needs_kafka
    from deploy.output import complain
    from deploy.record_options import RecordOptions
    from deploy.services import topics_of
    from streams.replay import replay
    from streams.telemetry import TelemetryProducer

    if speed <= 0:
        raise WrongUse(f"--speed {speed:g} is not above 0: 1 is real time")
    settings = Settings()
    care_unit, _, name = bed.rpartition("/")
    options = RecordOptions.parsed(fs, channels, unit)
    failed = 0
    login = settings.kafka_security.client_options()
    with needs_kafka(settings), TelemetryProducer(settings.kafka, topics_of(settings), **login) as producer:
        for record in records:
            try:
                ecg = options.open(record)
                complain(f"{record}: {ecg.duration_s:.0f} s to {bed}")
                replay(
                    ecg,
                    producer,
                    bed_stream=bed,
                    unit=care_unit or name,
                    bed=name,
                    patient=patient,
                    speed=speed,
                    message_s=message_s,
                )
            except (OSError, ValueError) as error:
                if isinstance(error, ConnectionError):
                    raise
                failed += 1
                complain(f"{record}: {error}")
    if failed:
        raise CommandFailed(f"{failed} of {len(records)} records could not be replayed")
