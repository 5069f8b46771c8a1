"""Grounding on signals: true sentences are supported and cited, planted false ones are caught."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from models.ecg import Ecg
from models.evidence import Evidence
from models.grounding.citations import without_repeats
from models.grounding.claim_extraction import extract_claims
from models.grounding.ground import ground, rejection_reason
from models.grounding.prompt_measurements import consistent_findings
from models.grounding.rule_based_report import rule_based_report
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment
from models.grounding.verdicts import judge_claim
from models.measurement.intervals import remeasure
from models.measurement.measure import measure
from models.training.simulate import simulate

NORMAL = {"conduction": "normal", "repolarisation": "normal"}


def _records() -> list[SegmentMeasurements]:
    made = [simulate(np.random.default_rng(k), rhythm="sinus", **NORMAL).ecg for k in range(6)]
    made += [simulate(np.random.default_rng(k), rhythm="afib", **NORMAL).ecg for k in range(20, 23)]
    made += [
        simulate(np.random.default_rng(k), rhythm="sinus", conduction="normal", repolarisation=r).ecg
        for k, r in enumerate(["ste_anterior", "ste_inferior", "t_inverted", "std", "qt_long"], 40)
    ]
    return [measure_segment(ecg) for ecg in made]


MEASURED = _records()


def _planted(measured: SegmentMeasurements) -> Iterator[tuple[str, str]]:
    """(kind of falsehood, sentence) that the measured contradict."""
    for name, off in (("PR", 40), ("QRS", 30), ("QT", 60), ("QTcF", 60)):
        value = measured.value(name)
        if value is not None:
            yield "number", f"The {name} is {value + off:.0f} ms."
            yield "number", f"A {name} of {value - off:.0f} ms is seen."
    rate = measured.value("HR")
    if rate is not None:
        yield "number", f"The heart rate is {rate + 12:.0f} bpm."
        yield "number", f"Rate {rate - 12:.0f}/min."
    flat = [x for x, e in measured.st.items() if abs(e.value) < 0.05 and x != "aVR"]
    up = [x for x, e in measured.st.items() if e.value > 0.15]
    if flat:
        yield "lead", f"There is ST elevation in {flat[0]}."
        yield "lead", f"ST depression of 0.2 mV in lead {flat[-1]}."
    if up:
        yield "negation", f"No ST elevation in {up[0]}."
    for lead in ("V5", "II"):
        t = measured.waves.get((lead, "T"))
        if t is not None and abs(t.mv) > 0.1:
            yield "lead", f"The T wave is {'inverted' if t.mv > 0 else 'upright'} in {lead}."
        if not measured.q_wave(lead) and (lead, "R") in measured.waves:
            yield "wave", f"Pathological Q waves are present in {lead}."
    if measured.p_waves is not None:
        yield ("negation", "There are no P waves.") if measured.p_waves else ("wave", "P waves precede each QRS.")
        yield "wave", "Atrial fibrillation." if measured.p_waves else "Sinus rhythm."
    if measured.regular is not None:
        yield "negation", "The rhythm is irregular." if measured.regular else "The rhythm is regular."
    if measured.kinds.get("V", 0) == 0:
        yield "wave", "Frequent PVCs are seen."


def test_planted_falsehoods_are_caught() -> None:
    caught: dict[str, list[bool]] = {}
    for measured in MEASURED:
        for kind, sentence in _planted(measured):
            judged = [judge_claim(claim, measured) for claim in extract_claims(sentence)]
            caught.setdefault(kind, []).append(bool(judged) and all(j.verdict != "supported" for j in judged))
    assert set(caught) == {"number", "lead", "wave", "negation"}
    assert sum(map(len, caught.values())) >= 100
    for kind, results in caught.items():
        assert np.mean(results) >= 0.95, kind


def test_what_is_supported_can_be_measured_again_within_tolerance() -> None:
    for measured in MEASURED[:4]:
        values = {name: measured.value(name) for name in ("QRS", "QT") if measured.value(name) is not None}
        if measured.p_waves and measured.value("PR") is not None:
            values["PR"] = measured.value("PR")
        text = (
            "Rate " + f"{measured.value('HR'):.0f} bpm. " + " ".join(f"{k} {v + 4:.0f} ms." for k, v in values.items())
        )
        interpretation = ground(text, measured.ecg, measured=measured)
        assert interpretation.counts == {"supported": 1 + len(values), "contradicted": 0, "unsupported": 0}
        limits = {"PR": 10.0, "QRS": 10.0, "QT": 20.0, "HR": 3.0}
        for cited in interpretation.evidence:
            claim = next(c for c in interpretation.claims if c.citation == cited.n)
            number = float(re.findall(r"\d+", claim.text)[-1])
            assert abs(number - remeasure(measured.ecg, cited.evidence)) <= limits[cited.evidence.measure]


@pytest.mark.parametrize("measured", MEASURED[::4])
def test_the_height_of_a_wave_can_be_measured_again_at_its_span(measured: SegmentMeasurements) -> None:
    heights = [e for lead, wave in measured.waves if (e := measured.wave_evidence(lead, wave)) is not None]
    assert len(heights) >= 20
    again = measure(measured.ecg)
    assert all(remeasure(measured.ecg, e, again) == pytest.approx(e.value, abs=0.002) for e in heights)


def test_a_contradicted_claim_is_not_in_the_text_but_kept_and_counted() -> None:
    measured = MEASURED[0]
    text = f"Rate {measured.value('HR'):.0f} bpm. QRS is {measured.value('QRS') + 60:.0f} ms. The rhythm is regular."
    interpretation = ground(text, measured.ecg, measured=measured)
    wrong = [c for c in interpretation.claims if c.verdict == "contradicted"]
    assert len(wrong) == interpretation.counts["contradicted"] == 1
    assert (wrong[0].start, wrong[0].end, wrong[0].citation) == (None, None, None)
    assert wrong[0].text not in interpretation.text and "~~" not in interpretation.text
    assert interpretation.text.startswith("Rate ") and interpretation.text.endswith("The rhythm is regular [2].")
    kept = [c for c in interpretation.claims if c.start is not None]
    assert len(kept) == 2 and all(interpretation.text[c.start : c.end] == c.text for c in kept)


@pytest.mark.parametrize(
    ("qrs_ms", "verdict"), [(84.0, "contradicted"), (104.0, "unsupported"), (130.0, "contradicted")]
)
def test_an_incomplete_bundle_branch_block_has_the_duration_of_one(qrs_ms: float, verdict: str) -> None:
    measured = MEASURED[0]
    qrs = replace(measured.evidence["QRS"], value=qrs_ms)
    given = replace(measured, evidence={**measured.evidence, "QRS": qrs})
    (claim,) = extract_claims("Incomplete right bundle branch block.")
    assert judge_claim(claim, given).verdict == verdict
    named = consistent_findings(["IRBBB"], [qrs], ["wide QRS"] if qrs_ms > 120 else ["narrow QRS"])
    assert named == ([] if verdict == "contradicted" else ["IRBBB"])


def test_a_lead_that_was_not_recorded_is_contradicted() -> None:
    single = MEASURED[0].ecg.select(["II"])
    interpretation = ground("T wave inversion in V2. The rhythm is regular.", single)
    assert (
        interpretation.claims[0].verdict == "contradicted"
        and interpretation.claims[0].rule == "lead V2 was not recorded"
    )


def test_the_alerts_own_citation_supports_its_number() -> None:
    flat = Ecg(("II",), 250.0, np.zeros((1, 2500), np.float32))
    given = [Evidence("RR", 4.62, ("II",), 785, 1940)]
    interpretation = ground("The rhythm stops for 4.62 s in lead II.", flat, given, first_citation=2)
    assert interpretation.text == (
        "The alarm rests on an RR interval of 4.62 s in lead II [1]. The rhythm stops for 4.62 s [1] in lead II."
    )
    assert interpretation.evidence == () and interpretation.counts["supported"] == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "GEM gave no text"),
        (" \n ", "GEM gave no text"),
        ("[1] ~~", "GEM gave no text"),
        ("Regelmäßiger Sinusrhythmus, normale Erregungsrückbildung, keine Ischämie.", "GEM did not answer in English"),
        ("心電図は正常です", "GEM did not answer in English"),
        ("I am sorry, but I cannot help with this image.", "GEM made no claim that can be checked"),
    ],
)
def test_a_rejected_text_gives_the_rule_based_report_with_the_reason(text: str, reason: str) -> None:
    assert rejection_reason(text) == reason
    interpretation = ground(text, MEASURED[0].ecg)
    assert (interpretation.source, interpretation.reason) == ("measured", reason)
    assert interpretation.counts["supported"] >= 3


def test_citation_numbers_of_the_models_own_are_not_citations() -> None:
    interpretation = ground(f"Rate {MEASURED[0].value('HR'):.0f} bpm [7].", MEASURED[0].ecg, first_citation=3)
    assert "[7]" not in interpretation.text and interpretation.text.endswith("bpm [3].")


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("ST -0.14 mV in II, ST -0.12 mV in II, ST -0.1 mV in II, T waves", "ST -0.14 mV in II, T waves"),
        ("ST 0.14 mV in V1, ST 0.14 mV in V2", "ST 0.14 mV in V1, ST 0.14 mV in V2"),
        ("HR 70 bpm, HR 71 bpm.", "HR 70 bpm."),
        ("PR 160 ms, QRS 90 ms, QT 400 ms", "PR 160 ms, QRS 90 ms, QT 400 ms"),
        ("ST 0.1 mV, ST 0.1 mV in II", "ST 0.1 mV, ST 0.1 mV in II"),
    ],
)
def test_one_measure_of_one_lead_is_published_once(text: str, published: str) -> None:
    assert without_repeats(text) == published


def test_a_label_whose_items_say_nothing_is_left_out() -> None:
    text = ground("The rhythm is regular. Intervals: QRS complexes. Measured: QRS complexes.", MEASURED[0].ecg).text
    assert "rhythm is regular" in text
    assert "QRS complexes" not in text


def test_consecutive_repeats_of_a_model_are_published_once() -> None:
    interpretation = ground(
        "The rhythm is regular. Conclusion: sinus rhythm, Sinus rhythm, sinus rhythm.",
        simulate(np.random.default_rng(0), rhythm="sinus", **NORMAL).ecg,
    )
    assert interpretation.text.lower().count("sinus rhythm") == 1
    same = "Lead I, lead II and V1 show upright T waves; PR 160 ms, QRS 90 ms."
    assert without_repeats(same) == same


def test_an_invented_interval_in_atrial_fibrillation_is_contradicted() -> None:
    measured = next(f for f in MEASURED if f.p_waves is False)
    interpretation = ground("The PR interval is 160 ms.", measured.ecg, measured=measured)
    assert (
        interpretation.counts["contradicted"] == 1 and interpretation.claims[0].rule == "no P waves, so no PR interval"
    )


def test_noise_supports_nothing_and_contradicts_nothing() -> None:
    noise = Ecg(("II",), 250.0, np.random.default_rng(0).standard_normal((1, 2500)).astype(np.float32))
    interpretation = ground("Sinus rhythm, rate 72 bpm, PR interval 160 ms.", noise)
    assert interpretation.counts == {"supported": 0, "contradicted": 0, "unsupported": 3}


def test_the_rule_based_report_is_never_contradicted_by_its_own_measurements() -> None:
    for measured in MEASURED:
        interpretation = ground(rule_based_report(measured.ecg, reason=None).text, measured.ecg, measured=measured)
        assert interpretation.counts["contradicted"] == 0, [
            c for c in interpretation.claims if c.verdict == "contradicted"
        ]
        assert interpretation.counts["supported"] >= 5


def test_fibrillation_has_no_intervals_and_no_sinus_rhythm() -> None:
    t = np.arange(2500) / 250
    mv = 0.4 * np.sin(2 * np.pi * (5 * t + 0.3 * np.sin(0.8 * np.pi * t))) * (1 + 0.3 * np.sin(0.6 * np.pi * t))
    ecg = Ecg(("II",), 250.0, mv[None].astype(np.float32))
    interpretation = ground("Ventricular fibrillation. Sinus rhythm with a PR interval of 160 ms.", ecg)
    assert [c.verdict for c in interpretation.claims] == ["supported", "contradicted", "contradicted"]
    assert [c.evidence.wave for c in interpretation.evidence] == ["fibrillation"]
    measured = rule_based_report(ecg, reason=None)
    assert measured.text.startswith("Pattern consistent with ventricular fibrillation in lead II [1]")
    assert "ms" not in measured.text and "bpm" not in measured.text
