"""Alerts, beds and vitals for the tests of this room: bed icu-3/07 in asystole."""

from __future__ import annotations

from streams.alert import Acknowledgement, Alert, Phase, Provenance, Segment, State, alert_id
from streams.bed import Action, Bed, Vitals, Wave
from streams.document import time_of_ns
from tests.streams.test_wire import START_NS, citation

ONSET = time_of_ns(START_NS)


def alert(version: int = 1, **changes: object) -> Alert:
    """Version 1 starts, later ones update; ``state=State.OFF`` makes it the end."""
    state = changes.get("state", State.ON)
    phase = Phase.START if version == 1 else Phase.END if state is State.OFF else Phase.UPDATE
    plain = Alert(
        id=alert_id("icu-3/07", "ASYSTOLE", START_NS),
        version=version,
        generation=1,
        phase=phase,
        state=State.ON,
        kind="physiological",
        code="ASYSTOLE",
        priority="PH",
        title="Asystole",
        bed_stream="icu-3/07",
        patient="p-81f3",
        unit="icu-3",
        bed="07",
        onset=ONSET,
        detected=time_of_ns(START_NS + 4_600_000_000),
        published=time_of_ns(START_NS + (5 + version) * 1_000_000_000),
        sounded=True,
        sounding=True,
        acknowledged=Acknowledgement(at=ONSET, by="rn-12") if version > 2 else None,
        leads=["II", "V"],
        segment=Segment(start=ONSET, duration_s=10.0, sampling_rate=250.0, strip="ecg:{main}:strip:x"),
        citations=[citation()],
        provenance=Provenance(monitor="0.3.0"),
    )
    return plain.changed(**changes)


def bed(**changes: object) -> Bed:
    """Bed icu-3/07 with one open alert."""
    plain = Bed(
        bed_stream="icu-3/07", unit="icu-3", bed="07", patient="p-81f3", generation=1, since=ONSET, alerts=[alert()]
    )
    return plain.changed(**changes)


def vitals(**changes: object) -> Vitals:
    """One second of bed icu-3/07."""
    wave = Wave(lead="II", sampling_rate=125.0, start=ONSET, mv=[0.1, None])
    return Vitals(bed_stream="icu-3/07", at=ONSET, hr=72.0, rhythm="N", quality={"II": 0.9}, wave=wave).changed(
        **changes
    )


def acknowledge(action_id: str = "a1", **changes: object) -> Action:
    """A nurse acknowledges the asystole."""
    plain = Action(id=action_id, action="acknowledge", bed_stream="icu-3/07", alert_id=alert().id, by="rn-12", at=ONSET)
    return plain.changed(**changes)
