"""Fault 25: the patients of two beds change places while nobody tells the system. A pseudonym that changes inside an
epoch is named; what is raised keeps the patient for whom it was raised.
"""

from __future__ import annotations

from dataclasses import replace

from streams.alert import State
from streams.bed import Action
from streams.wire import EcgWindow
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest


def of(patient: str, windows: list[EcgWindow]) -> list[EcgWindow]:
    return [replace(w, patient=patient) for w in windows]


def test_a_pseudonym_that_changes_inside_an_epoch_sounds() -> None:
    windows = messages(ecg(40))
    bed = BedUnderTest().feed(windows[:20] + of("p-9999", windows[20:]))
    first = bed.of("PATIENT_MISMATCH")[0]
    assert (first.priority, first.kind, first.sounding, first.patient) == ("PM", "technical", True, "p-81f3")
    assert bed.monitor.bed.patient == "p-81f3", "nobody has said who lies there"


def test_alarms_go_on_while_it_is_not_known_who_it_is() -> None:
    windows = messages(ecg(60, silent=[(30.0, 45.0)]))
    bed = BedUnderTest().feed(windows[:20] + of("p-9999", windows[20:]))
    assert bed.of("ASYSTOLE")[0].sounding


def test_admitting_the_patient_who_is_there_ends_it() -> None:
    windows = messages(ecg(60))
    bed = BedUnderTest().feed(windows[:20] + of("p-9999", windows[20:30]))
    admit = Action(
        id="a", action="admit", bed_stream="icu-3/07", by="rn-1", at=bed.clock_time, args={"patient": "p-9999"}
    )
    outputs, outcome = bed.monitor.apply_action(admit, 0)
    assert outcome.applied
    bed.outputs += outputs
    bed.feed(of("p-9999", windows[30:]))
    assert bed.monitor.bed.patient == "p-9999"
    assert bed.of("PATIENT_MISMATCH")[-1].state is State.OFF
    assert len({a.id for a in bed.of("PATIENT_MISMATCH")}) == 1


def test_a_pseudonym_that_comes_with_a_new_epoch_is_a_new_patient_and_the_old_ones_alarms_end() -> None:
    windows = messages(ecg(60, silent=[(15.0, 25.0)]))
    bed = BedUnderTest().feed(windows[:40])
    assert bed.of("ASYSTOLE")[-1].state is State.LATCHED
    bed.feed([replace(w, patient="p-9999", epoch=2) for w in windows[40:]])
    last = bed.of("ASYSTOLE")[-1]
    assert (last.state, last.patient) == (State.OFF, "p-81f3")
    assert bed.of("PATIENT_MISMATCH") == []
    assert bed.monitor.bed.patient == "p-9999"


def test_a_window_without_a_pseudonym_is_no_mismatch() -> None:
    windows = messages(ecg(40))
    bed = BedUnderTest().feed(windows[:20] + of("", windows[20:]))
    assert bed.alerts == []
