"""One fault raises one technical condition: detached electrodes, missing samples and noise are told apart."""

from __future__ import annotations

import numpy as np

from models.arrhythmia.criteria.signal import TechnicalConditions
from models.ecg import Ecg
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


def test_noise_in_every_lead_is_said_within_ten_seconds() -> None:
    assert codes_after(8) == []
    assert codes_after(9) == ["NOISY_SIGNAL"]


def test_the_onset_of_noise_is_where_the_quality_of_two_seconds_became_insufficient() -> None:
    """Muscle noise from 6 s on; the quality of 6 s says so at 9 s, and the alarm is on at 15 s instead of 17 s."""
    rng = np.random.default_rng(1)
    mv = rng.normal(0, 0.003, (2, round(20 * FS))).astype(np.float32)
    mv[:, round(6 * FS) :] += rng.normal(0, 0.3, (2, round(14 * FS))).astype(np.float32)
    watch, on = TechnicalConditions(LEADS, FS), []
    for second in range(1, 21):
        noisy = second >= 9
        quality = {lead: LeadQuality(0.1 if noisy else 1.0, NOISY if noisy else USABLE) for lead in LEADS}
        signal = Ecg(LEADS, FS, mv[:, : round(second * FS)])
        on.append(watch.update(second * 250, () if noisy else LEADS, (), quality, LEADS, signal))
    first = next(k for k, found in enumerate(on) if found)
    assert first + 1 == 15
    assert on[first][0].onset / FS == 6.0


def test_usable_seconds_between_noise_do_not_end_it() -> None:
    """Three usable seconds are too short to see a standstill in; four are enough."""
    for usable_s, expected in ((3, ["NOISY_SIGNAL"]), (5, [])):
        watch, found = TechnicalConditions(LEADS, FS), []
        for second in range(1, 31):
            noisy = second % (usable_s + 2) < 2 and second <= 20 + usable_s
            quality = {lead: LeadQuality(0.1 if noisy else 1.0, NOISY if noisy else USABLE) for lead in LEADS}
            found = watch.update(second * 250, () if noisy else LEADS, (), quality, LEADS)
            if second == 21:
                assert [f.code for f in found] == expected
        assert found == []


def test_one_lead_that_can_be_judged_by_is_enough() -> None:
    assert codes_after(30, usable=("V5",)) == []


def test_detached_electrodes_are_not_noise() -> None:
    assert codes_after(30, off=LEADS, state=DETACHED) == ["LEADS_OFF"]


def test_samples_that_do_not_come_are_not_noise() -> None:
    assert codes_after(30, there=(), state=ABSENT) == []


def test_an_electrode_off_and_the_other_lead_noisy_are_two_faults() -> None:
    assert codes_after(30, off=("II",)) == ["LEADS_OFF", "NOISY_SIGNAL"]


def test_compressions_on_all_leads_are_named_within_ten_seconds_and_end_with_them() -> None:
    t = np.arange(round(50 * FS)) / FS
    pressed = (t >= 10) & (t < 30)
    mv = np.stack([np.sin(2 * np.pi * 110 / 60 * t), -0.7 * np.sin(2 * np.pi * 110 / 60 * t)]) * pressed
    mv = (mv + np.random.default_rng(1).normal(0, 0.01, mv.shape)).astype(np.float32)
    watch, quality, rules = TechnicalConditions(LEADS, FS), {lead: LeadQuality(1.0, USABLE) for lead in LEADS}, {}
    for second in range(1, 51):
        now = round(second * FS)
        signal = Ecg(LEADS, FS, mv[:, max(0, now - 5000) : now])
        for finding in watch.update(now, LEADS, (), quality, LEADS, signal):
            assert finding.code == "NOISY_SIGNAL" and finding.leads == LEADS
            (evidence,) = finding.evidence
            assert evidence.criterion is not None and 0 <= evidence.value < 0.3
            rules[second] = evidence.criterion.rule
    assert 18 <= min(rules) <= 20 and 28 <= max(rules) <= 36
    assert set(rules.values()) == {"waves like those of chest compressions, 110 a minute, on all leads for 8 s"}, rules
