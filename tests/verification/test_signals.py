"""The verifier on signals of known truth: silence with noise, wide beats, a fast rhythm that ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from verification import Signal, verify

FS, SECONDS = 250.0, 10.0
START = datetime(2026, 11, 22, 22, 10, tzinfo=UTC)
WIDE_S, NARROW_S = 0.14, 0.06


def signal(beats: dict[float, float], noise_mv: float = 0.006) -> Signal:
    """One lead; ``beats`` are seconds to QRS width: a triangle of 1 mV, a wide one with a flat top."""
    t = np.arange(round(SECONDS * FS)) / FS
    mv: NDArray[np.float64] = np.random.default_rng(1).normal(0, noise_mv, len(t)) + 0.04 * np.sin(1.5 * t)
    for at, width in beats.items():
        top = 1.0 if width < 0.1 else 0.8
        mv += np.clip(1.0 - 2 * np.abs(t - at) / width, 0, top) - (0.25 if width > 0.1 else 0) * np.exp(
            -(((t - at - 0.3) / 0.06) ** 2)
        )
    return Signal({"II": mv}, FS, ("II",))


def alert(
    code: str, title: str, priority: str, measure: str, value: float, a: int, b: int, rule: str
) -> dict[str, Any]:
    """The start version of an alert with one citation."""
    unit = {"HR": "bpm", "QRS": "ms"}.get(measure, "s")
    limit = {"SILENCE": 4.0, "QRS": 2.0, "HR": 2.0}.get(measure, 0.65)
    times = [(START + timedelta(seconds=x / FS)).isoformat() for x in (a, b)]
    citation = {
        "n": 1, "measure": measure, "value": value, "unit": unit, "leads": ["II"], "start": times[0], "end": times[1],
        "start_s": a / FS, "end_s": b / FS, "start_sample": a, "end_sample": b, "beats": [], "wave": None,
        "criterion": {"rule": rule, "limit": limit, "accuracy": 0.5},
    }  # fmt: skip
    return {
        "id": "", "version": 2, "kind": "physiological", "code": code, "title": title, "priority": priority,
        "bed_stream": "icu-3/07", "onset": START.isoformat(), "leads": ["II"], "interpretation": None,
        "segment": {"start": START.isoformat(), "duration_s": SECONDS, "sampling_rate": FS}, "citations": [citation],
    }  # fmt: skip


def asystole(a: int, b: int) -> dict[str, Any]:
    return alert("ASYSTOLE", "Asystole", "PH", "SILENCE", (b - a) / FS, a, b, "no beat for 4 s or longer")


COUPLET = {k * 0.8 + 0.5: NARROW_S for k in range(9)} | {7.5: WIDE_S, 8.0: WIDE_S, 9.1: NARROW_S}


def couplet(measure: str, value: float, a_s: float, b_s: float) -> dict[str, Any]:
    a, b = round(a_s * FS), round(b_s * FS)
    return alert("VPAIR", "Ventricular couplet", "PL", measure, value, a, b, "two ventricular beats in a row")


@pytest.mark.parametrize("beats", [{}, {0.3: NARROW_S}], ids=["none", "one before it"])
def test_noise_is_no_beat_where_the_segment_is_silent(beats: dict[float, float]) -> None:
    report = verify(asystole(100, 2500), signal(beats))
    assert report["ok"], report


def test_a_beat_in_the_silence_is_found() -> None:
    report = verify(asystole(100, 2500), signal({0.3: NARROW_S, 5.0: NARROW_S, 6.0: NARROW_S}))
    assert report["citations"][0]["why"] == "there are beats inside, or none at the ends"


def test_wide_beats_among_steep_ones_are_found_at_any_instant_of_theirs() -> None:
    for shift_s in (-0.05, 0.0, 0.04):
        report = verify(couplet("HR", 60 / (0.5 + shift_s), 7.5, 8.0 + shift_s), signal(COUPLET))
        assert report["ok"], report
    assert not verify(couplet("HR", 124.0, 7.5, 8.0), signal(COUPLET))["ok"], "0.5 s are 120 bpm"
    assert not verify(couplet("HR", 60.0, 7.5, 8.5), signal(COUPLET))["ok"], "no beat at the end"


def test_a_wide_complex_with_a_notch_is_measured_from_its_first_to_its_last_slope() -> None:
    report = verify(couplet("QRS", 140.0, 7.93, 8.07), signal(COUPLET))
    assert report["ok"], report
    assert not verify(couplet("QRS", 140.0, 8.03, 8.17), signal(COUPLET))["ok"]


def test_a_missed_beat_of_a_fast_rhythm_is_shorter_than_a_second() -> None:
    beats = {k * 0.364 + 0.4: NARROW_S for k in range(22)} | {22 * 0.364 + 0.752: NARROW_S, 9.4: NARROW_S}
    a, b = round((21 * 0.364 + 0.4) * FS), round((22 * 0.364 + 0.752) * FS)
    document = alert("MISSED_BEAT", "Missed beat", "PL", "RR", (b - a) / FS, a, b, "RR over 1.8 times the mean of 8")
    text = "Missed beat: the alarm rests on an RR interval of 0.72 s in lead II (RR over 1.8 times the mean of 8) [1]."
    document["interpretation"] = {"text": text, "claims": [], "counts": {}}
    report = verify(document, signal(beats))
    assert report["ok"], report


def seen(s: Signal, views: list[NDArray[np.int64]]) -> Signal:
    """A signal whose detectors see these beats, samples."""
    s.__dict__["views"] = views
    return s


def test_views_that_miss_beats_make_no_regular_rhythm_irregular() -> None:
    s = signal({k + 0.5: NARROW_S for k in range(9)})
    beats = s.views[0]
    seen(s, [beats] * 7 + [np.delete(beats, [2, 5])] * 5)
    a, b = int(beats[0]), int(beats[-1])
    faults = {}
    for value in (0.0, 0.37):
        document = alert("INTERPRETATION", "ECG interpretation", "PN", "REGULARITY", value, a, b, "")
        document["citations"][0] |= {"unit": "", "criterion": None}
        faults[value] = verify(document, s)["citations"][0]["why"]
    assert faults == {0.0: "", 0.37: "REGULARITY measured 0"}


def test_a_t_wave_that_few_views_count_has_no_qrs_complex() -> None:
    s = signal({k + 0.5: NARROW_S for k in range(9)})
    beats, after = s.views[0], round(0.33 * FS)
    seen(s, [beats] * 10 + [np.sort(np.concatenate([beats, beats + after]))] * 3)
    assert s.qrs(("II",), int(beats[3])) is not None
    assert s.qrs(("II",), int(beats[3]) + after) is None
