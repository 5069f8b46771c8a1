"""Beats of one morphology get one kind."""

from __future__ import annotations

import numpy as np
import pytest

from models.beats.neighbours import BeatMorphology, TemplateCache, morphology_at, morphology_correlation


def bump(width: float, shift: int = 0, at_s: float = 0.0, probability: float = 0.5) -> BeatMorphology:
    at = np.arange(250)
    x = np.exp(-0.5 * ((at - 125 - shift) / width) ** 2)[None].astype(np.float32)
    return morphology_at(x, (0,), 125, at_s, probability)


def test_the_same_beat_a_little_later_correlates_and_a_wide_one_does_not() -> None:
    same, wide = morphology_correlation(bump(3.0), [bump(3.0, shift=4), bump(14.0)])
    assert same > 0.95
    assert wide < 0.8


def test_an_uncertain_beat_takes_the_kind_of_the_beats_it_correlates_with() -> None:
    cache = TemplateCache()
    for k in range(8):
        cache.add(bump(3.0, at_s=float(k), probability=0.01))
    assert cache.probability(bump(3.0, at_s=8.0, probability=0.6)) < 0.1
    assert cache.probability(bump(14.0, at_s=8.0, probability=0.6)) == pytest.approx(0.6, abs=0.01)


def test_beats_of_more_than_30_s_ago_do_not_count() -> None:
    cache = TemplateCache()
    cache.add(bump(3.0, at_s=0.0, probability=0.01))
    assert cache.probability(bump(3.0, at_s=31.0, probability=0.6)) == pytest.approx(0.6)


def test_a_beat_is_not_compared_with_itself() -> None:
    one = bump(3.0, at_s=5.0, probability=0.6)
    assert TemplateCache().probability(one, [one]) == pytest.approx(0.6)


def test_the_beats_of_an_update_have_the_probabilities_that_each_has_alone() -> None:
    cache = TemplateCache()
    for k in range(8):
        cache.add(bump(3.0 + k % 3, at_s=float(k), probability=0.01 + 0.1 * k))
    update = [bump(width, at_s=at_s, probability=0.6) for width, at_s in ((3.0, 7.0), (14.0, 7.9), (4.0, 30.5))]
    assert cache.probabilities(update, update) == [cache.probability(beat, update) for beat in update]
    assert len(set(cache.probabilities(update, update))) == 3 and cache.probabilities([], update) == []
