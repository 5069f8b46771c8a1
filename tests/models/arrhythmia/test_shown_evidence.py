"""Evidence of single beats is cited on the leads that show it on signal of sufficient quality."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.episodes import Episode
from models.arrhythmia.evaluate import ConditionEvaluator
from models.arrhythmia.tier import find_episodes
from models.arrhythmia.views import RhythmViews
from models.ecg import Ecg
from models.evidence import BeatSpan, Evidence
from tests.models.arrhythmia.contexts import Views, context
from tests.models.arrhythmia.tracks import track

FS, SECONDS = 250.0, 20.0


def lead(beats_s: list[float], seconds: float = SECONDS) -> NDArray[np.float32]:
    """Triangular QRS complexes of 1 mV with T waves."""
    t = np.arange(round(seconds * FS)) / FS
    mv = 0.01 * np.random.default_rng(3).normal(size=len(t))
    for at in beats_s:
        mv += np.clip(1 - np.abs(t - at) / 0.04, 0, None) + 0.2 * np.exp(-(((t - at - 0.28) / 0.06) ** 2))
    return np.asarray(mv, np.float32)


def moving(seconds: float = SECONDS) -> NDArray[np.float32]:
    """An electrode that moves: waves of 4 mV without a beat."""
    t = np.arange(round(seconds * FS)) / FS
    return np.asarray(2.0 * np.sin(2 * np.pi * 0.7 * t) + np.sin(2 * np.pi * 1.9 * t + 1), np.float32)


EVERY = [0.5 + 0.8 * k for k in range(24)]
MISSED = 18  # beat that the detector did not find


def shown(rows: list[NDArray[np.float32]]) -> Evidence | None:
    """The RR that a missed beat would end, on leads II and V."""
    mv = np.stack(rows)
    views = RhythmViews(Ecg(("II", "V"), FS, mv), ("II", "V"))
    found = [at for k, at in enumerate(EVERY) if k != MISSED]
    r = np.round(np.array(found) * FS).astype(np.int64)
    a, b = int(r[MISSED - 1]), int(r[MISSED])
    rr = Evidence("RR", (b - a) / FS, ("II", "V"), a, b, (BeatSpan(a, a, b, (b - a) / FS),))
    return views.shown(rr, r, mv.shape[1])


def test_a_lead_that_moves_is_not_cited() -> None:
    without = lead([at for k, at in enumerate(EVERY) if k != MISSED])
    both, one = shown([without, without]), shown([without, moving()])
    assert both is not None and both.leads == ("II", "V")
    assert one is not None and one.leads == ("II",)


def test_no_lead_is_left_where_all_move_or_one_of_two_shows_a_beat_inside() -> None:
    without = lead([at for k, at in enumerate(EVERY) if k != MISSED])
    assert shown([moving(), moving()]) is None
    assert shown([without, lead(EVERY)]) is None


def test_a_lead_shows_an_rr_whose_ends_are_beats_in_it() -> None:
    without = [at for k, at in enumerate(EVERY) if k != MISSED]
    other_end = lead([at for at in without if at != EVERY[MISSED + 1]])  # what ended the RR is an artefact elsewhere
    rr = shown([lead(without), other_end])
    assert rr is not None and rr.leads == ("II",)
    assert shown([other_end, other_end]) is None


def test_a_missed_beat_of_another_shape_is_less_steep_than_the_others() -> None:
    t, without = np.arange(round(SECONDS * FS)) / FS, lead([at for k, at in enumerate(EVERY) if k != MISSED])
    wide = np.asarray(without - 0.7 * np.exp(-(((t - EVERY[MISSED]) / 0.05) ** 2)), np.float32)
    assert shown([wide, wide]) is None


def test_a_lead_at_a_far_rail_at_one_of_the_beats_shows_that_an_electrode_moves() -> None:
    t, without = np.arange(round(SECONDS * FS)) / FS, lead([at for k, at in enumerate(EVERY) if k != MISSED])
    rail = np.where(np.abs(t - EVERY[MISSED + 1]) < 0.06, -5.0, without).astype(np.float32)
    assert shown([without, rail]) is None


class Hidden(Views):
    """Views of a signal of low quality: no lead shows anything."""

    def shown(self, evidence: Evidence, r: NDArray[np.int64], now: int) -> Evidence | None:  # type: ignore[override]
        return None


def test_a_condition_of_many_beats_begins_on_signal_that_shows_it_and_goes_on_without() -> None:
    frequent = track(([0.8, 0.8, 0.5, 1.1] * 16), "NNNV" * 16)
    for views, on, found in ((Views(), False, True), (Hidden(), False, False), (Hidden(), True, True)):
        state = context(frequent, views=views, on=lambda code, on=on: on and code == "PVC_RATE")
        findings, _ = ConditionEvaluator(FS).present(state)
        assert ("PVC_RATE" in {f.code for f in findings}) is found


def instants(rows: list[NDArray[np.float32]]) -> list[Episode]:
    ecg = Ecg(("II", "V"), FS, np.stack(rows))
    return [e for e in find_episodes(ecg) if e.code in ("PAUSE", "MISSED_BEAT")]


def test_a_pause_is_raised_on_clean_signal_and_cites_the_lead_that_is_clean() -> None:
    beats = [at for at in (0.5 + 0.8 * k for k in range(48)) if not 24.0 < at < 27.0]
    clean, t = lead(beats, 40.0), np.arange(round(40 * FS)) / FS
    swing = np.where((t > 23.0) & (t < 29.0), 3.0 * np.sin(2 * np.pi * 0.6 * t), 0.0).astype(np.float32)
    pauses = [e for e in instants([clean, clean + swing]) if e.code == "PAUSE"]
    assert [e.evidence[0].leads for e in pauses] == [("II",)]
    assert not [e for e in instants([clean + swing, clean - swing]) if e.code == "PAUSE"]
