"""The rule-based report: text for any segment, each number with its span, nothing invented."""

from __future__ import annotations

import re

import numpy as np
import pytest

from models.ecg import Ecg
from models.evidence import Criterion, Evidence
from models.grounding.phrases import leads_phrase
from models.grounding.rule_based_report import rule_based_report
from models.leads import STANDARD_12
from models.training.simulate import simulate

FS = 250.0


def _sinus() -> Ecg:
    normal = {"rhythm": "sinus", "conduction": "normal", "repolarisation": "normal"}
    return simulate(np.random.default_rng(3), rate=72.0, **normal).ecg


def _ecg(mv: np.ndarray, leads: tuple[str, ...] = ("II",)) -> Ecg:
    return Ecg(leads, FS, mv.astype(np.float32))


def test_a_sinus_rhythm_is_reported_with_a_citation_for_every_number() -> None:
    interpretation = rule_based_report(_sinus(), reason="no weights")
    assert (
        interpretation.source == "measured" and interpretation.reason == "no weights" and interpretation.model is None
    )
    assert "72 bpm" in interpretation.text and "Regular rhythm" in interpretation.text
    numbers = {int(n) for n in re.findall(r"\[(\d+)\]", interpretation.text)}
    assert numbers == {c.n for c in interpretation.evidence} == set(range(1, len(interpretation.evidence) + 1))
    assert all(c.verdict == "supported" and c.citation in numbers for c in interpretation.claims)


def test_claims_are_at_their_positions_in_code_points() -> None:
    interpretation = rule_based_report(_sinus(), reason=None)
    assert len(interpretation.claims) >= 4
    assert all(interpretation.text[c.start : c.end] == c.text for c in interpretation.claims)


def test_a_flat_attached_lead_is_reported_as_a_time_without_beats() -> None:
    interpretation = rule_based_report(_ecg(np.zeros((1, 2500))), reason="1 lead")
    assert "No beat is found for 10.0 s in lead II [1]" in interpretation.text
    assert re.search(r"\b(PR|QRS|QT|axis)\b \d", interpretation.text) is None
    assert interpretation.evidence[0].evidence.measure == "SILENCE"


@pytest.mark.parametrize(
    "mv",
    [
        np.full((1, 2500), np.nan),
        np.random.default_rng(0).standard_normal((1, 2500)) * 0.5,
        np.zeros((1, 0)),
    ],
    ids=["no samples", "noise", "empty"],
)
def test_a_signal_that_cannot_be_analysed_gets_no_numbers(mv: np.ndarray) -> None:
    interpretation = rule_based_report(_ecg(mv), reason=None)
    assert "No lead can be analysed" in interpretation.text
    assert interpretation.claims == () and interpretation.evidence == ()


def test_the_report_of_one_lead_has_no_axis_and_no_chest_leads() -> None:
    interpretation = rule_based_report(_sinus().select(["II"]), reason="1 lead")
    assert "axis" not in interpretation.text and not re.search(r"\bV[1-6]\b|aV[RLF]", interpretation.text)
    assert all(c.evidence.leads == ("II",) for c in interpretation.evidence)


def test_the_alerts_own_citations_come_first_and_keep_their_numbers() -> None:
    criterion = Criterion("no beat for 4.0 s or longer", 4.0, "DFM100")
    given = [Evidence("RR", 4.62, ("II",), 785, 1940, criterion=criterion)]
    interpretation = rule_based_report(_sinus(), reason=None, first_citation=2, given=given)
    assert interpretation.text.startswith(
        "The alarm rests on an RR interval of 4.62 s in lead II (no beat for 4.0 s or longer) [1]. "
    )
    assert interpretation.claims[0].citation == 1
    assert [c.n for c in interpretation.evidence] == list(range(2, 2 + len(interpretation.evidence)))


def test_st_elevation_is_named_where_it_is() -> None:
    ecg = simulate(np.random.default_rng(5), rhythm="sinus", conduction="normal", repolarisation="ste_anterior").ecg
    interpretation = rule_based_report(ecg, reason=None)
    assert re.search(r"ST elevation of 0\.1 mV or more in leads [^.]*V\d–V\d, maximum in V[2-4]", interpretation.text)
    assert {c.evidence.leads[0] for c in interpretation.evidence if c.evidence.measure == "ST"} >= {"V2", "V3"}


def test_unusable_leads_are_named_with_their_state() -> None:
    ecg = _sinus()
    mv = ecg.mv.copy()
    mv[[3, 7]] = np.nan
    text = rule_based_report(Ecg(STANDARD_12, ecg.fs_hz, mv), reason=None).text
    assert "Leads aVR and V2 are not analysed: absent." in text


def test_leads_in_words() -> None:
    assert leads_phrase(STANDARD_12) == "all twelve leads"
    assert leads_phrase(["V1", "V2", "aVL"]) == "leads aVL, V1 and V2"


def test_a_rate_that_changes_is_not_called_an_irregular_rhythm() -> None:
    normal = {"rhythm": "sinus", "conduction": "normal", "repolarisation": "normal", "duration_s": 5.0}
    slow, fast = (simulate(np.random.default_rng(3), rate=rate, **normal).ecg for rate in (60.0, 105.0))
    changed = Ecg(slow.leads, slow.fs_hz, np.concatenate([slow.mv, fast.mv], axis=1))
    fibrillating = simulate(np.random.default_rng(3), rhythm="afib", conduction="normal").ecg
    assert "rregular" not in rule_based_report(changed, reason=None).text
    assert "Irregular" in rule_based_report(fibrillating, reason=None).text


def test_a_silent_segment_that_a_beat_ends_is_not_called_noisy() -> None:
    t = np.arange(2500) / FS
    quiet = np.random.default_rng(4).normal(0, 0.006, (2, 2500))
    beat = np.exp(-(((t - 9.97) / 0.014) ** 2))  # cut by the segment's edge
    text = rule_based_report(_ecg(quiet + [[1.2], [0.8]] * beat, ("II", "V1")), reason=None, code="MISSED_BEAT").text
    assert re.search(r"No beat is found for (9\.9|10\.0) s in leads II and V1 \[1\]", text), text
    assert "noisy" not in text and "not analysed" not in text
