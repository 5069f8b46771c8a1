"""Heads over measurements and feature: limits that a line can say, the feature's share, prompt context."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.encoder.heads import Heads, load_heads
from models.encoder.session import EncoderSession
from models.finding_names import FINDINGS, RHYTHM, TITLES
from models.gem.finding_heads import FindingHeads
from models.gem.prompt_context import FindingPredictor, build_prompt_context
from models.grounding.feature_vector import NAMES, expand_features, feature_vector
from models.grounding.segment_measurements import measure_segment
from models.training.fit_finding_heads import Rows, with_tower
from models.training.simulate import simulate

NORMAL = {"conduction": "normal", "repolarisation": "normal"}


def _simulated(seed: int = 3, **how: object) -> object:
    return simulate(np.random.default_rng(seed), **{**NORMAL, **how}).ecg  # type: ignore[arg-type]


def test_numbers_are_those_of_the_measurements_and_nothing_is_filled_in() -> None:
    measured = measure_segment(_simulated(rhythm="sinus", rate=80.0))
    numbers = dict(zip(NAMES, feature_vector(measured).tolist(), strict=True))
    assert numbers["HR"] == pytest.approx(measured.value("HR")) and numbers["QRS"] == pytest.approx(
        measured.value("QRS")
    )
    one_lead = dict(zip(NAMES, feature_vector(measure_segment(measured.ecg.select(("II",)))).tolist(), strict=True))
    assert np.isnan(one_lead["R V1"]) and np.isnan(one_lead["AXIS_X"]) and one_lead["HR"] == pytest.approx(80.0, abs=2)


def test_a_line_over_the_expanded_numbers_can_say_under_sixty() -> None:
    rows = np.full((3, len(NAMES)), np.nan, np.float32)
    rows[:, NAMES.index("HR")] = (45.0, 80.0, 130.0)
    slow = expand_features(rows)[:, len(NAMES)]
    assert slow[0] < slow[1] == slow[2] == 0.0


def test_the_features_share_decides_where_the_numbers_do_not() -> None:
    own = Heads(
        ("MI",),
        np.ones((1, 2), np.float32),
        np.zeros(1, np.float32),
        np.zeros(2, np.float32),
        np.ones(2, np.float32),
        np.full(1, 0.5, np.float32),
        "sha256:x",
    )
    n = expand_features(np.zeros((1, len(NAMES)), np.float32)).shape[1]
    zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
    heads = FindingHeads(
        ("MI", "SINUS"),
        zeros,
        zeros,
        ones,
        np.zeros((2, n), np.float32),
        np.zeros(2, np.float32),
        np.array([0.5, 0.0], np.float32),
        np.full(2, 0.6, np.float32),
        own,
    )
    numbers, pooled = np.full((1, len(NAMES)), np.nan, np.float32), np.full((1, 2), 2.0, np.float32)
    (found,) = heads.called(numbers, pooled)
    assert set(found) == {"MI"} and found["MI"] == pytest.approx(1 / (1 + np.exp(-2.0)), abs=0.01)

    # Given the logits of a measuring tower that sees a sinus rhythm, and no infarction, with a weight of 0.5
    tower = np.zeros((1, len(FINDINGS)), np.float32)
    tower[0, FINDINGS.index("MI")], tower[0, FINDINGS.index("SINUS")] = -3.0, 2.0
    averaged = replace(heads, tower_share=0.5).probabilities(numbers, pooled, tower)
    assert averaged[0] == pytest.approx(1 / (1 + np.exp([0.5, -1.0])), abs=0.01)


def test_heads_of_another_encoder_are_refused(tmp_path: Path) -> None:
    session = EncoderSession.load(None, "cpu", threads=1)
    heads = load_heads(session.folder, session.weights)
    assert heads is not None
    shipped = FindingHeads.read(session.folder, heads)
    assert shipped is not None and FindingHeads.read(tmp_path, heads) is None
    shipped.save(tmp_path)
    other = Heads(heads.labels, heads.weight, heads.bias, heads.mean, heads.scale, heads.threshold, "sha256:other")
    with pytest.raises(ValueError, match="was trained on an encoder"):
        FindingHeads.read(tmp_path, other)


def test_heads_that_were_fitted_with_another_measuring_tower_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = FindingPredictor.load()
    assert predictor is not None and predictor.tower is not None
    assert predictor.heads.tower_share > 0.0 and predictor.heads.tower == predictor.tower.weights
    changed = replace(predictor.heads, tower="sha256:other")
    monkeypatch.setattr(FindingHeads, "read", lambda folder, heads: changed)
    with pytest.raises(ValueError, match="were fitted with the measuring tower of sha256:other, the shipped one is"):
        FindingPredictor.load()


def test_the_towers_weight_is_chosen_on_the_tuning_records() -> None:
    # Given heads that know nothing of AF, and a tower that knows it
    predictor = FindingPredictor.load()
    assert predictor is not None
    labels = predictor.heads.labels
    blind = replace(
        predictor.heads, weight=np.zeros_like(predictor.heads.weight), share=np.zeros(len(labels), np.float32)
    )
    truth = np.zeros((40, len(FINDINGS)), np.float32)
    truth[::2] = 1.0
    rows = Rows(
        numbers=np.full((40, len(NAMES)), np.nan, np.float32),
        pooled=np.zeros((40, predictor.heads.heads.mean.shape[0]), np.float32),
        findings=truth,
        tower=np.where(truth > 0, 3.0, -3.0).astype(np.float32),
    )
    fitted, loss = with_tower(blind, rows, "sha256:tower")
    assert fitted.tower_share == 1.0 and fitted.tower == "sha256:tower" and loss < 0.1
    # When the tower is wrong, its weight is 0
    assert with_tower(blind, replace(rows, tower=-rows.tower), "sha256:tower")[0].tower_share < 0.3


def test_the_prompt_context_of_one_lead_has_rhythm_findings_alone() -> None:
    predictor = FindingPredictor.load()
    assert predictor is not None
    fibrillating = _simulated(rhythm="afib")
    context = build_prompt_context(fibrillating, predictor)
    assert context.findings is not None and TITLES["AFIB"] in context.findings and "no P waves" in context.descriptors
    blocked = _simulated(4, rhythm="sinus", conduction="lbbb")
    assert TITLES["LBBB"] in (build_prompt_context(blocked, predictor).findings or ())
    one_lead = build_prompt_context(blocked.select(("II",)), predictor)  # type: ignore[attr-defined]
    assert one_lead.measurements and set(one_lead.findings or ()) <= {TITLES[f] for f in (*RHYTHM, "AVB1")}


def test_the_prompt_context_has_no_findings_without_heads_and_no_measurements_without_beats() -> None:
    assert build_prompt_context(_simulated(rhythm="sinus"), None).findings is None
    flat = _simulated(rhythm="sinus")
    flat.mv[:] = 0.0  # type: ignore[attr-defined]
    context = build_prompt_context(flat, FindingPredictor.load())
    assert context.measurements == () and "none can be measured" in context.unsuitable


def test_beside_an_alarm_and_below_50_a_minute_no_ecg_is_called_normal() -> None:
    predictor, normal = FindingPredictor.load(), TITLES["NORM"]
    ecg = _simulated(6, rhythm="sinus", rate=75.0)
    assert normal in (build_prompt_context(ecg, predictor).findings or ()) and normal not in (
        build_prompt_context(ecg, predictor, alarmed=True).findings or ()
    )
    assert normal not in (build_prompt_context(_simulated(6, rhythm="sinus", rate=42.0), predictor).findings or ())


def test_a_pause_is_not_left_to_a_model_that_never_saw_one() -> None:
    ecg = _simulated(rhythm="sinus", rate=72.0)
    ecg.mv[:, 2000:3800] = 0.0  # type: ignore[attr-defined]
    assert "pauses" in build_prompt_context(ecg, None).unsuitable
