"""One fault raises one technical condition: detached electrodes, missing samples and noise are told apart."""

from __future__ import annotations

from models.arrhythmia.criteria.signal import TechnicalConditions
from models.signal.quality import ABSENT, DETACHED, NOISY, USABLE, LeadQuality

FS = 250.0
LEADS = ("II", "V5")


def codes_after(
    seconds: int,
    *,
    usable: tuple[str, ...] = (),
    off: tuple[str, ...] = (),
    state: str = NOISY,
    there: tuple[str, ...] = LEADS,
) -> list[str]:
    """The technical conditions present after as many seconds of this."""
    watch, found = TechnicalConditions(LEADS, FS), []
    quality = {lead: LeadQuality(1.0 if state == USABLE else 0.1, state) for lead in LEADS}
    for second in range(1, seconds + 1):
        found = watch.update(round(second * FS), usable, off, quality, there)
    return [f.code for f in found]


def test_noise_in_every_lead_is_said_after_ten_seconds() -> None:
    assert codes_after(9) == []
    assert codes_after(10) == ["NOISY_SIGNAL"]


def test_one_lead_that_can_be_judged_by_is_enough() -> None:
    assert codes_after(30, usable=("V5",)) == []


def test_detached_electrodes_are_not_noise() -> None:
    assert codes_after(30, off=LEADS, state=DETACHED) == ["LEADS_OFF"]


def test_samples_that_do_not_come_are_not_noise() -> None:
    assert codes_after(30, there=(), state=ABSENT) == []


def test_an_electrode_off_and_the_other_lead_noisy_are_two_faults() -> None:
    assert codes_after(30, off=("II",)) == ["LEADS_OFF", "NOISY_SIGNAL"]
