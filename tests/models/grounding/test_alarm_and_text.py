"""The alert and its words agree: opening, opposition, displayed numbers, "(not confirmed)", rules of rhythm."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from models.arrhythmia.codes import CODES
from models.arrhythmia.episodes import Episode
from models.ecg import Ecg
from models.evidence import Criterion, Evidence
from models.grounding import recitation
from models.grounding.claim_extraction import extract_claims
from models.grounding.claims import ExtractedClaim
from models.grounding.finding_rules import judge_finding
from models.grounding.gem_scope import reason_against_gem
from models.grounding.ground import ground
from models.grounding.opposition import OPPOSED, opposes
from models.grounding.recitation import evidence_in_window
from models.grounding.rule_based_report import rule_based_report
from models.grounding.segment_measurements import SegmentMeasurements, WaveHeight, measure_segment
from models.measurement.intervals import clear_of_edges, deflection, is_possible, wave_height
from models.normal_limits import POSSIBLE
from models.training.simulate import simulate

NORMAL = {"conduction": "normal", "repolarisation": "normal"}
VT = Criterion("5 ventricular beats in a row faster than 100 bpm", 100.0, "unit setting")
GIVEN = [Evidence("HR", 133.4, ("II",), 600, 3400, criterion=VT)]
SINUS = measure_segment(simulate(np.random.default_rng(1), rhythm="sinus", rate=72.0, **NORMAL).ecg)
AF = measure_segment(simulate(np.random.default_rng(20), rhythm="afib", **NORMAL).ecg)


def _verdict(subject: str, measured: SegmentMeasurements) -> str:
    return judge_finding(ExtractedClaim.finding(subject), measured)[0]


# ---- the alarm's own finding opens the text --------------------------------------------------------------------------


def test_gems_text_opens_with_the_alarms_finding_and_citation() -> None:
    interpretation = ground("The QRS is narrow.", SINUS.ecg, GIVEN, 2, measured=SINUS, code="TACHY")
    assert interpretation.source == "gem"
    assert interpretation.text.startswith(
        "Tachycardia: the alarm rests on a rate of 133 bpm in lead II (5 ventricular beats in a row faster than "
        "100 bpm) [1]. The QRS is narrow [2]."
    )
    assert interpretation.claims[0].citation == 1


@pytest.mark.parametrize("code", ["VTACH", "ASYSTOLE", "AV_BLOCK", "QT_LONG"])
def test_the_rule_based_report_opens_with_the_alarms_title(code: str) -> None:
    text = rule_based_report(SINUS.ecg, reason=None, given=GIVEN, code=code, measured=SINUS).text
    assert text.startswith(f"{CODES[code].title}: the alarm rests on a rate of 133 bpm")


@pytest.mark.parametrize(
    ("code", "bpm", "title"),
    [
        ("VTACH", 98.0, "Ventricular rhythm"),
        ("VTACH", 99.6, "Ventricular tachycardia"),
        ("TACHY", 121.0, "Tachycardia"),
    ],
)
def test_no_tachycardia_is_named_at_a_rate_that_is_normal(code: str, bpm: float, title: str) -> None:
    given = [replace(GIVEN[0], value=bpm)]
    text = rule_based_report(SINUS.ecg, reason=None, given=given, code=code, measured=SINUS).text
    assert text.startswith(f"{title}: the alarm rests on a rate of {bpm:.0f} bpm")


def test_a_sentence_of_gems_that_repeats_another_is_published_once() -> None:
    text = "The QRS is narrow. P waves precede the QRS complexes. The QRS is narrow."
    interpretation = ground(text, SINUS.ecg, measured=SINUS)
    assert interpretation.text.count("The QRS is narrow") == 1 and interpretation.counts["supported"] == 2


# ---- opposition ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("VTACH", "Sinus rhythm."),
        ("VTACH", "Narrow QRS complexes."),
        ("VTACH", "The heart rate is normal."),
        ("VTACH", "Atrial fibrillation."),
        ("VTACH", "Normal ECG."),
        ("VFIB", "The rhythm is regular."),
        ("VFIB", "Sinus tachycardia."),
        ("ASYSTOLE", "The heart rate is normal."),
        ("ASYSTOLE", "Atrial fibrillation."),
        ("EXTREME_BRADY", "The heart rate is normal."),
        ("EXTREME_TACHY", "Bradycardia."),
        ("AV_BLOCK", "Sinus rhythm."),
        ("SVT", "The QRS is wide."),
        ("AFIB", "Sinus rhythm."),
        ("AFIB", "P waves precede the QRS complexes."),
        ("QT_LONG", "The QTc is normal."),
    ],
)
def test_a_sentence_that_opposes_the_alarm_is_not_in_the_text(code: str, sentence: str) -> None:
    # Given GEM's sentence, which the measurements alone may support
    interpretation = ground(f"{sentence} PR 160 ms.", SINUS.ecg, GIVEN, 2, measured=SINUS, code=code)
    # Then the text has no such claim, which is kept as contradicted, without a place
    assert not any(opposes(code, claim) for claim in extract_claims(interpretation.text))
    wrong = [c for c in interpretation.claims if c.rule == f"opposes the alarm {CODES[code].title}"]
    assert len(wrong) == 1 and (wrong[0].verdict, wrong[0].start, wrong[0].end) == ("contradicted", None, None)
    assert interpretation.counts["contradicted"] >= 1


@pytest.mark.parametrize("code", sorted(OPPOSED))
def test_the_rule_based_report_says_nothing_that_opposes_the_alarm(code: str) -> None:
    for measured in (SINUS, AF):
        text = rule_based_report(measured.ecg, reason=None, code=code, measured=measured).text
        assert [c.text for c in extract_claims(text) if opposes(code, c) and c.subject != "QRS_WIDE"] == []


def test_a_report_under_fibrillation_or_asystole_names_no_rhythm_and_under_a_rate_alarm_no_second_rate() -> None:
    texts = {
        code: rule_based_report(SINUS.ecg, reason=None, given=GIVEN, code=code, measured=SINUS).text
        for code in ("VFIB", "ASYSTOLE", "TACHY")
    }
    assert not re.search(r"QRS \d|rhythm|axis", texts["VFIB"].split("[1]")[1])
    assert "rhythm" not in texts["ASYSTOLE"]
    assert "QT" not in texts["TACHY"]  # it was measured at the other rate
    assert texts["TACHY"].count("bpm") == 2 and "72 bpm" not in texts["TACHY"]  # the value and the limit of the rule


def test_the_axis_of_a_ventricular_rhythm_is_not_reported() -> None:
    measured = replace(SINUS, kinds={"V": 10, "N": 1}, kind_sequence="V" * 10 + "N", beats=11)
    assert "axis" not in rule_based_report(SINUS.ecg, reason=None, measured=measured).text


def test_every_alarm_of_the_table_is_a_code_and_opposes_a_normal_ecg() -> None:
    assert set(OPPOSED) == {c for c, row in CODES.items() if row.kind == "physiological"}
    assert all(opposes(code, ExtractedClaim.finding("NORMAL_ECG")) for code in OPPOSED)
    assert not opposes("INTERPRETATION", ExtractedClaim.finding("NORMAL_ECG"))


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({}, "VTACH", "ventricular tachycardia"),
        ({}, "AV_BLOCK", "AV block"),
        ({"kind_sequence": "NNVVVNNNNNNNNNN"}, "", "ventricular runs"),
        ({"kinds": {"N": 8, "V": 4}, "beats": 12}, "", "quarter of the beats"),
        ({"kinds": {"N": 8, "P": 4}, "beats": 12}, "", "paced"),
        ({"quality": dict.fromkeys(SINUS.ecg.leads, 0.3)}, "", "low quality"),
    ],
)
def test_a_window_that_gem_cannot_describe_is_not_for_gem(changes: dict[str, object], code: str, words: str) -> None:
    assert words in reason_against_gem(replace(SINUS, **changes), code)
    assert reason_against_gem(SINUS, "TACHY") == ""


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_a_number_within_tolerance_is_displayed_as_the_cited_value() -> None:
    rate, pr = SINUS.evidence["HR"].value, SINUS.evidence["PR"].value
    text = f"HR {rate + 1.6:.0f} bpm, PR {(pr + 6) / 1000:.3f} s."
    interpretation = ground(text, SINUS.ecg, measured=SINUS)
    assert interpretation.text == f"HR {rate:.0f} bpm [1], PR {pr / 1000:.3f} s [2]."
    assert [interpretation.text[c.start : c.end] for c in interpretation.claims] == [
        c.text for c in interpretation.claims
    ]


def test_st_and_amplitudes_are_displayed_with_two_decimals_and_their_sign() -> None:
    ecg = simulate(np.random.default_rng(5), rhythm="sinus", conduction="normal", repolarisation="ste_anterior").ecg
    measured = measure_segment(ecg)
    st = measured.st["V2"].value
    text = ground(f"ST elevation in V2: ST {st + 0.03:.1f} mV in V2.", ecg, measured=measured).text
    assert f"ST {st:.2f} mV" in text


# ---- words without support -------------------------------------------------------------------------------------------


def test_a_finding_without_support_is_marked_in_words_and_a_number_is_left_out() -> None:
    interpretation = ground(
        "The QRS is narrow. T wave duration is 180 ms. Conclusion: myocardial infarction, atrial flutter.",
        SINUS.ecg.select(["II"]),
    )
    marked = [c for c in interpretation.claims if c.verdict == "unsupported" and c.start is not None]
    assert marked
    for claim in marked:
        assert interpretation.text[claim.end :].startswith(" (not confirmed)")
    assert "180 ms" not in interpretation.text


def test_items_of_a_conclusion_are_left_out_one_by_one() -> None:
    text = "Conclusion: left bundle branch block, tachycardia, bradycardia. The QRS is narrow."
    interpretation = ground(text, SINUS.ecg, measured=SINUS)
    assert interpretation.text == "The QRS is narrow [1]."
    kept = ground("The rhythm is regular. Conclusion: left bundle branch block, narrow QRS.", SINUS.ecg, measured=SINUS)
    assert kept.text == "The rhythm is regular [1]. Conclusion: narrow QRS [2]." and kept.counts["contradicted"] == 1


# ---- rules of rhythm -------------------------------------------------------------------------------------------------


def test_sinus_rhythm_and_a_normal_ecg_need_every_abnormal_finding_to_be_absent() -> None:
    assert _verdict("SINUS", SINUS) == "supported"
    wide = {**SINUS.evidence, "QRS": replace(SINUS.evidence["QRS"], value=134.0)}
    long_pr = {**SINUS.evidence, "PR": replace(SINUS.evidence["PR"], value=230.0)}
    fast = {**SINUS.evidence, "HR": replace(SINUS.evidence["HR"], value=131.0)}
    for changes in ({"kinds": {"N": 10, "V": 2}}, {"evidence": wide}, {"evidence": long_pr}, {"evidence": fast}):
        measured = replace(SINUS, **changes)
        assert _verdict("SINUS", measured) == "unsupported"
        assert _verdict("NORMAL_ECG", measured) != "supported"
    assert _verdict("NORMAL_ECG", replace(SINUS, axis_deg=110)) != "supported"


def test_normal_measurements_do_not_make_a_normal_ecg_and_the_text_does_not_have_it() -> None:
    assert _verdict("NORMAL_ECG", SINUS) != "supported"
    words = ground("Conclusion: normal ECG, sinus rhythm.", SINUS.ecg, measured=SINUS)
    assert words.text.startswith("Conclusion: sinus rhythm [")
    assert words.counts["unsupported"] + words.counts["contradicted"] == 1


def test_an_st_level_of_the_other_sign_is_not_in_the_text() -> None:
    up, down = (Evidence("ST", mv, (lead,), 1000, 1080) for mv, lead in ((0.21, "V2"), (-0.24, "III")))
    measured = replace(SINUS, st={"V2": up, "III": down})
    text = "ST elevation: ST 0.21 mV in V2 and ST -0.24 mV in III. Conclusion: ST elevation, narrow QRS."
    words = ground(text, SINUS.ecg, measured=measured)
    assert "-0.24" not in words.text and "0.21 mV" in words.text
    assert words.text.count("ST elevation") == 1  # not repeated in the conclusion


def test_qt_is_not_stated_beside_an_alarm_at_another_rate() -> None:
    qt = SINUS.value("QT")
    text = f"QT {qt:.0f} ms. The QRS is narrow."
    assert "QT" in ground(text, SINUS.ecg, measured=SINUS).text
    assert " QT" not in ground(text, SINUS.ecg, GIVEN, 2, measured=SINUS, code="VTACH").text
    rate = ground("HR 72 bpm. The rhythm is regular.", SINUS.ecg, GIVEN, 2, measured=SINUS, code="TACHY").text
    assert "72 bpm" not in rate and "133 bpm" in rate


def test_words_about_the_rate_are_judged_by_the_rate_that_the_alarm_cites() -> None:
    # Given a segment of 72 bpm with two beats at 133 bpm, which the alarm cites
    text = "The heart rate is normal. The QRS is narrow. The heart rate is fast."
    interpretation = ground(text, SINUS.ecg, GIVEN, 2, measured=SINUS, code="VPAIR")
    # Then the text has one rate
    assert "rate is normal" not in interpretation.text and "rate is fast [1]" in interpretation.text
    assert "rate is normal" in ground(text, SINUS.ecg, measured=SINUS).text


def test_no_tachycardia_is_cited_anew_at_a_normal_rate() -> None:
    rule = Criterion("5 beats in a row faster than 100 bpm, tachycardia by the rhythm network", 100.0, "unit setting")
    own = Evidence("HR", 130.0, ("II",), 0, 1000, criterion=rule)
    on = Episode("VTACH", 0, 1000, 60_000, evidence=(own,), leads=("II",))
    for bpm, cited in ((97.0, False), (101.0, True)):
        rate = Evidence("HR", bpm, ("II",), 200, 4000)
        measured = replace(SINUS, evidence={**SINUS.evidence, "HR": rate})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("models.grounding.recitation.measure_segment", lambda window, fold=None, m=measured: m)
            assert bool(evidence_in_window(on, 50_000, SINUS.ecg)) is cited


def test_a_rate_is_cited_anew_over_the_part_of_the_window_in_which_the_condition_holds() -> None:
    # Given 4 s at 150 bpm, then 72 bpm, and a tachycardia that ended with the fast beats
    fast = simulate(np.random.default_rng(1), rhythm="sinus", rate=150.0, **NORMAL).ecg
    window = replace(SINUS.ecg, mv=np.hstack([fast.mv[:, : 4 * 500], SINUS.ecg.mv[:, 4 * 500 :]]))
    rule = Criterion("mean of 8 beats over 120 bpm for 10 s", 120.0, "unit setting")
    own = Evidence("HR", 151.0, ("II",), 0, 4000, criterion=rule)
    (cited,) = evidence_in_window(Episode("TACHY", 0, 4000, 52_000, evidence=(own,), leads=("II",)), 50_000, window)
    assert cited.value == pytest.approx(150, abs=6) and cited.end <= 2000


def test_regular_beats_are_no_evidence_of_an_irregular_rhythm() -> None:
    rule = Criterion("irregular with P waves for 60 s", 60.0, "unit setting")
    own = Evidence("REGULARITY", 0.2, ("II",), 0, 4000, criterion=rule, over_s=60.0)
    on = Episode("IRREGULAR", 0, 30_000, 60_000, evidence=(own,), leads=("II",))
    assert evidence_in_window(on, 50_000, SINUS.ecg) == ()
    (cited,) = evidence_in_window(on, 50_000, AF.ecg)
    assert cited.value > 0.08


def test_beats_are_not_cited_in_a_flat_lead() -> None:
    lead = SINUS.ecg.lead("II")
    measured = measure_segment(Ecg(("II", "V"), SINUS.ecg.fs_hz, np.stack([lead, np.zeros_like(lead)])))
    assert measured.states["V"] == "flat"
    assert measured.evidence["HR"].leads == measured.evidence["REGULARITY"].leads == ("II",)


def test_a_count_of_beats_is_not_cited_anew_by_the_longest_rr() -> None:
    rule = Criterion("more than 10 ventricular beats a minute: 11 in 60 s", 10.0, "test")
    cited = tuple(Evidence("RR", 0.6, ("II",), a, a + 300, criterion=rule) for a in (1000, 4000, 6000))
    episode = Episode("PVC_RATE", 1000, 7000, 30_000, evidence=cited, leads=("II",))
    assert evidence_in_window(episode, 20_000, SINUS.ecg) == ()
    twice = rule_based_report(SINUS.ecg, reason=None, given=[GIVEN[0], GIVEN[0]], code="VTACH", measured=SINUS).text
    assert "It also rests on" not in twice


def test_gems_text_does_not_repeat_the_alarms_finding() -> None:
    text = "The QRS is narrow. Conclusion: tachycardia, narrow QRS."
    fast = replace(SINUS, evidence={**SINUS.evidence, "HR": replace(SINUS.evidence["HR"], value=133.0)})
    words = ground(text, SINUS.ecg, GIVEN, 2, measured=fast, code="TACHY")
    assert words.text.lower().count("tachycardia") == 1
    assert "tachycardia" in ground(text, SINUS.ecg, measured=fast).text


def test_a_rule_that_rests_on_two_values_is_written_once() -> None:
    rule = Criterion("two ventricular beats in a row", 2.0, "test")
    given = [
        Evidence("HR", 92.0, ("II",), 600, 900, criterion=rule),
        Evidence("QRS", 140.0, ("II",), 600, 670, criterion=rule),
    ]
    text = rule_based_report(SINUS.ecg, reason=None, given=given, code="VPAIR", measured=SINUS).text
    assert text.count("two ventricular beats in a row") == 1


def test_atrial_fibrillation_needs_irregular_rr_no_p_waves_and_the_network() -> None:
    likely = replace(AF, af_odds=1.0)
    assert _verdict("AFIB", likely) == "supported"
    assert "consistent with atrial fibrillation" in rule_based_report(AF.ecg, reason=None, measured=likely).text
    assert _verdict("AFIB", replace(AF, af_odds=None)) == "unsupported"
    assert _verdict("AFIB", replace(AF, af_odds=-2.0)) == "unsupported"
    assert _verdict("AFIB", SINUS) == "contradicted" and SINUS.af_odds is None
    unlikely = rule_based_report(AF.ecg, reason=None, measured=replace(AF, af_odds=-2.0)).text
    assert "atrial fibrillation" not in unlikely


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        ("NVNVNVNVNN", "Ventricular bigeminy"),
        ("NNVNNVNNVNNN", "Ventricular trigeminy"),
        ("NNNVVNNNNN", "Ventricular couplet"),
        ("NNNVVVVNNN", "Ventricular run"),
    ],
)
def test_patterns_of_ventricular_beats_are_named(sequence: str, words: str) -> None:
    kinds = {"N": sequence.count("N"), "V": sequence.count("V")}
    measured = replace(AF, kind_sequence=sequence, kinds=kinds, beats=len(sequence), af_odds=None)
    text = rule_based_report(AF.ecg, reason=None, measured=measured).text
    assert re.search(rf"{words} \[\d\]\.", text) and "atrial fibrillation" not in text


def test_ventricular_beats_that_gem_leaves_out_are_added() -> None:
    measured = replace(SINUS, kinds={"N": 10, "V": 2}, kind_sequence="NNNVVNNNNNNN", beats=12)
    text = ground("The QRS is narrow.", SINUS.ecg, measured=measured).text
    assert text.startswith("The QRS is narrow") and "2 ventricular ectopic beats among 12 beats" in text
    assert "Ventricular couplet" in text


def test_fewer_than_three_beats_name_no_rhythm() -> None:
    two = replace(SINUS, beats=2, kind_sequence="NN", kinds={"N": 2})
    assert rule_based_report(SINUS.ecg, reason=None, measured=two).text.startswith("The rhythm cannot be named")


# ---- evidence --------------------------------------------------------------------------------------------------------


def test_no_wave_is_cited_at_the_edge_or_with_an_impossible_value() -> None:
    ecg = SINUS.ecg
    r = SINUS.evidence["QRS"].beats[0].r
    # Given a segment that begins in the middle of a QRS complex
    measured = measure_segment(ecg.slice(r, r + round(5 * ecg.fs_hz)))
    cited = [*measured.evidence.values(), *measured.st.values()]
    waves = [e for e in cited if e.measure in {"P", "PR", "QRS", "QT", "QTc", "QTcF", "ST"}]
    assert len(waves) >= 6
    assert all(clear_of_edges(e.start, e.end, measured.ecg.n_samples, ecg.fs_hz) for e in waves)
    assert all(is_possible(e.measure, e.value) for e in waves)
    assert not is_possible("QRS", 38.0) and not is_possible("QT", 720.0) and not is_possible("PR", 64.0)
    assert all(low < high for low, high in POSSIBLE.values())


def test_a_rate_before_a_long_silence_is_not_the_rate_of_the_segment() -> None:
    mv = SINUS.ecg.mv.copy()
    mv[:, round(4 * SINUS.ecg.fs_hz) :] = 0.0
    measured = measure_segment(replace(SINUS.ecg, mv=mv))
    assert measured.longest_rr is not None and measured.longest_rr.value > 5.0
    assert "HR" not in measured.evidence
    assert "bpm" not in rule_based_report(measured.ecg, reason=None, measured=measured).text


def test_an_upright_t_wave_on_a_depressed_st_segment_is_not_inverted() -> None:
    fs, seconds = 500.0, np.arange(500) / 500.0
    # Given ST depression of 0.3 mV on which stands a T wave of 0.2 mV
    row = np.where(seconds > 0.2, -0.3, 0.0) + 0.2 * np.exp(-(((seconds - 0.6) / 0.05) ** 2))
    start, end = round(0.45 * fs), round(0.75 * fs)
    tip = wave_height(row.astype(np.float32), "T", start, end, 0.0)
    assert tip == pytest.approx(-0.3, abs=0.005)  # the ST segment beside it is farthest from the PR level
    bow = deflection(row, start, end)
    assert bow == pytest.approx(0.2, abs=0.005)
    upright = replace(SINUS, waves={("II", "T"): WaveHeight(tip, start, end, bow)})
    inverted = replace(SINUS, waves={("II", "T"): WaveHeight(tip, start, end, -bow)})
    assert "inversion" not in rule_based_report(SINUS.ecg, reason=None, measured=upright).text
    assert "T wave inversion in lead II" in rule_based_report(SINUS.ecg, reason=None, measured=inverted).text
    assert _verdict("T_INVERTED", upright) == "unsupported" and _verdict("T_INVERTED", inverted) == "supported"


def test_a_run_among_conducted_beats_is_cited_again_by_its_own_rate() -> None:
    ecg = simulate(np.random.default_rng(3), rhythm="sinus", rate=75.0, **NORMAL).ecg
    measured = measure_segment(ecg)
    r, fs = measured.r, ecg.fs_hz
    for kinds, cited in (("NNVVVVVNNNNN", (2, 6)), ("NNVVNVVNNNNN", None)):
        sequence = kinds[: len(r)].ljust(len(r), "N")
        mixed = replace(measured, kind_sequence=sequence)
        slow = Criterion("5 ventricular beats in a row faster than 70 bpm", 70.0, "unit setting", 5.0)
        e = Evidence("HR", 75.0, ("II",), 0, ecg.n_samples, criterion=slow)
        found = list(recitation.run_evidence(e, mixed, 0, ecg.n_samples))
        assert [(x.start, x.end) for x in found] == ([] if cited is None else [(r[cited[0]], r[cited[1]])])
        for x in found:
            assert x.value == pytest.approx(60 * fs * 4 / (r[6] - r[2]), abs=0.05) and len(x.beats) == 4
