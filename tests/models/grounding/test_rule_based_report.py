"""The measured interpreter: words for anything, each number with its place, nothing invented."""

from __future__ import annotations

import re

import numpy as np
import pytest

from models.ecg import Ecg
from models.evidence import Criterion, Evidence
from models.grounding.rule_based_report import citation_line, leads_words, locate, rule_based_report
from models.leads import STANDARD_12
from models.training.simulate import simulate

FS = 250.0


def _sinus() -> Ecg:
    normal = {"rhythm": "sinus", "conduction": "normal", "repolarisation": "normal"}
    return simulate(np.random.default_rng(3), rate=72.0, **normal).ecg


def _ecg(mv: np.ndarray, leads: tuple[str, ...] = ("II",)) -> Ecg:
    return Ecg(leads, FS, mv.astype(np.float32))


def test_a_sinus_rhythm_is_worded_with_a_place_for_every_number() -> None:
    reading = rule_based_report(_sinus(), reason="no weights")
    assert reading.source == "measured" and reading.reason == "no weights" and reading.model is None
    assert "72 bpm" in reading.text and "Regular rhythm" in reading.text
    numbers = {int(n) for n in re.findall(r"\[(\d+)\]", reading.text)}
    assert numbers == {c.n for c in reading.evidence} == set(range(1, len(reading.evidence) + 1))
    assert all(c.verdict == "supported" and c.citation in numbers for c in reading.claims)


def test_claims_are_where_they_say_in_code_points() -> None:
    reading = rule_based_report(_sinus(), reason=None)
    assert len(reading.claims) >= 4
    assert all(reading.text[c.start : c.end] == c.text for c in reading.claims)


def test_a_flat_attached_lead_is_told_as_a_time_without_beats() -> None:
    reading = rule_based_report(_ecg(np.zeros((1, 2500))), reason="1 lead")
    assert "No beat is found for 10.0 s in lead II [1]" in reading.text
    assert re.search(r"\b(PR|QRS|QT|axis)\b \d", reading.text) is None
    assert reading.evidence[0].evidence.measure == "SILENCE"


@pytest.mark.parametrize(
    "mv",
    [
        np.full((1, 2500), np.nan),
        np.random.default_rng(0).standard_normal((1, 2500)) * 0.5,
        np.zeros((1, 0)),
    ],
    ids=["no samples", "noise", "empty"],
)
def test_a_signal_that_cannot_be_read_gets_no_numbers(mv: np.ndarray) -> None:
    reading = rule_based_report(_ecg(mv), reason=None)
    assert "No lead can be read" in reading.text
    assert reading.claims == () and reading.evidence == ()


def test_one_lead_names_no_axis_and_no_chest_leads() -> None:
    reading = rule_based_report(_sinus().select(["II"]), reason="1 lead")
    assert "axis" not in reading.text and not re.search(r"\bV[1-6]\b|aV[RLF]", reading.text)
    assert all(c.evidence.leads == ("II",) for c in reading.evidence)


def test_the_alerts_own_citations_come_first_and_keep_their_numbers() -> None:
    criterion = Criterion("no beat for 4.0 s or longer", 4.0, "DFM100")
    given = [Evidence("RR", 4.62, ("II",), 785, 1940, criterion=criterion)]
    reading = rule_based_report(_sinus(), reason=None, first_citation=2, given=given)
    assert reading.text.startswith(
        "The alarm rests on an RR interval of 4.62 s in lead II (no beat for 4.0 s or longer) [1]. "
    )
    assert reading.claims[0].citation == 1
    assert [c.n for c in reading.evidence] == list(range(2, 2 + len(reading.evidence)))


def test_st_elevation_is_named_where_it_is() -> None:
    ecg = simulate(np.random.default_rng(5), rhythm="sinus", conduction="normal", repolarisation="ste_anterior").ecg
    reading = rule_based_report(ecg, reason=None)
    assert re.search(r"ST is elevated by 0\.1 mV or more in leads [^.]*V\d–V\d, most in V[2-4]", reading.text)
    assert {c.evidence.leads[0] for c in reading.evidence if c.evidence.measure == "ST"} >= {"V2", "V3"}


def test_twelve_leads_two_unreadable_are_said_so() -> None:
    ecg = _sinus()
    mv = ecg.mv.copy()
    mv[[3, 7]] = np.nan
    text = rule_based_report(Ecg(STANDARD_12, ecg.fs_hz, mv), reason=None).text
    assert "Leads aVR and V2 are not judged: absent." in text


def test_a_citation_is_printed_as_people_read_it_and_located_in_utc() -> None:
    evidence = Evidence("PR", 212.0, ("II",), 785, 838)
    assert citation_line(1, evidence, FS) == "[1] PR 212 ms, lead II, 3.14–3.35 s"
    place = locate(evidence.shifted(1000), segment_start_ns=5_000_000_000, fs_hz=FS, segment_start_sample=1000)
    assert (place.start_ns, place.end_ns) == (8_140_000_000, 8_352_000_000)
    assert (place.start_s, place.end_s, place.start_sample, place.end_sample) == (3.14, 3.352, 785, 838)


def test_leads_in_words() -> None:
    assert leads_words(STANDARD_12) == "all twelve leads"
    assert leads_words(["V1", "V2", "aVL"]) == "leads aVL, V1 and V2"


def test_a_rate_that_changes_is_not_called_an_irregular_rhythm() -> None:
    normal = {"rhythm": "sinus", "conduction": "normal", "repolarisation": "normal", "duration_s": 5.0}
    slow, fast = (simulate(np.random.default_rng(3), rate=rate, **normal).ecg for rate in (60.0, 105.0))
    changed = Ecg(slow.leads, slow.fs_hz, np.concatenate([slow.mv, fast.mv], axis=1))
    fibrillating = simulate(np.random.default_rng(3), rhythm="afib", conduction="normal").ecg
    assert "rregular" not in rule_based_report(changed, reason=None).text
    assert "Irregular" in rule_based_report(fibrillating, reason=None).text
