"""A citation never points outside its strip; what is longer than the strip is cited as far as it is shown."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agents.monitor.citations import evidence_on_strip
from models.evidence import BeatSpan, Criterion, Evidence

FS = 250.0
START, STOP = 10_000, 12_500  # a strip of 10 s
RULE = Criterion("RR over 1.8 times the mean of 8", 1.6, "test")


def test_a_pause_longer_than_the_strip_is_cited_as_the_silence_that_it_shows() -> None:
    begin, end = START - 500, STOP - 200
    pause = Evidence("RR", (end - begin) / FS, ("II",), begin, end, (BeatSpan(begin, begin, end, 1.0),), RULE)
    (shown,) = evidence_on_strip([pause], START, STOP, FS)
    assert (shown.measure, shown.start, shown.end) == ("SILENCE", 0, 2300)
    assert shown.value == pytest.approx(9.2) and shown.over_s == pytest.approx((end - begin) / FS)
    assert shown.criterion == RULE


def test_a_pause_inside_the_strip_stays_as_it_is() -> None:
    pause = Evidence("RR", 4.0, ("II",), START + 500, START + 1500)
    assert evidence_on_strip([pause], START, STOP, FS) == (pause.shifted(-START),)


def test_a_rate_over_more_than_the_strip_is_that_of_the_beats_shown() -> None:
    r = range(START - 600, STOP, 250)
    spans = tuple(BeatSpan(b + 250, b, b + 250, 1.0) for b in r[:-1])
    rate = Evidence("HR", 58.0, ("II",), r[0], r[-1], spans)
    (shown,) = evidence_on_strip([rate], START, STOP, FS)
    assert shown.value == pytest.approx(60.0)
    assert 0 <= shown.start < shown.end <= STOP - START
    assert shown.over_s == pytest.approx((r[-1] - r[0]) / FS)


@pytest.mark.parametrize("at", [START + 5, STOP - 30])
def test_no_wave_is_cited_from_beside_the_strips_edge(at: int) -> None:
    assert evidence_on_strip([Evidence("QRS", 100.0, ("II",), at, at + 25)], START, STOP, FS) == ()


def test_one_rr_of_a_rate_is_no_rate() -> None:
    spans = tuple(BeatSpan(b + 250, b, b + 250, 1.0) for b in range(START - 1000, START + 200, 250))
    rate = Evidence("HR", 60.0, ("II",), spans[0].start, spans[-1].end, spans)
    assert evidence_on_strip([rate], START, STOP, FS) == ()


def test_a_slow_rate_whose_beats_are_not_on_the_strip_is_cited_as_the_silence_that_it_shows() -> None:
    r = [START - 1400, START - 1200, START - 1000, START + 50, STOP - 100, STOP + 20]
    spans = tuple(BeatSpan(b, a, b, (b - a) / FS) for a, b in pairwise(r))
    under = Criterion("mean of 8 beats under 50 bpm for 10 s", 50.0, "test")
    slow = Evidence("HR", 37.8, ("II",), r[0], r[-1], spans, under)
    (shown,) = evidence_on_strip([slow], START, STOP, FS)
    assert (shown.measure, shown.start, shown.end) == ("SILENCE", 50, 2400)
    assert shown.value == pytest.approx(9.4) and shown.criterion == under
    assert shown.over_s == pytest.approx((r[-1] - r[0]) / FS)
