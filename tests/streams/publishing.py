"""One document into Redis through the alert bus, as the publisher's service does it in batches."""

from __future__ import annotations

from streams.alert import Alert
from streams.alert_bus import AlertBus, PublishOutcome, alert_entry, bed_entry, strip_entry, vitals_entry
from streams.bed import Bed, Vitals


async def publish_alert(bus: AlertBus, alert: Alert, place: str, offset: int, generation: int) -> PublishOutcome:
    """Apply one version of an alert; ``place`` is ``<topic>/<partition>``."""
    return (await bus.publish([alert_entry(bus.keys, alert, place, offset, generation)]))[0]


async def publish_bed(bus: AlertBus, bed: Bed, place: str, offset: int, generation: int) -> PublishOutcome:
    """Apply one bed document."""
    return (await bus.publish([bed_entry(bus.keys, bed, place, offset, generation)]))[0]


async def publish_vitals(bus: AlertBus, vitals: Vitals, place: str, offset: int) -> PublishOutcome:
    """Apply the vitals of one second."""
    return (await bus.publish([vitals_entry(bus.keys, vitals, place, offset)]))[0]


async def publish_strip(
    bus: AlertBus, alert_id: str, window: bytes, place: str, offset: int, time_ms: int
) -> PublishOutcome:
    """Apply one strip (bytes of an `EcgWindow`)."""
    return (await bus.publish([strip_entry(bus.keys, alert_id, window, place, offset, time_ms)]))[0]
