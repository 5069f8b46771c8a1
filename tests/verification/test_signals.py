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


@pytest.mark.parametrize(("height_mv", "ok"), [(0.12, True), (0.3, False)])
def test_deflections_smaller_than_the_smallest_qrs_complex_are_no_beats(height_mv: float, ok: bool) -> None:
    s = signal({})
    small = sum(height_mv * np.clip(1 - np.abs(np.arange(2500) / FS - at) / 0.03, 0, None) for at in (3.0, 4.0, 5.0))
    report = verify(asystole(100, 2500), Signal({"II": s.mv["II"] + small}, FS, ("II",)))
    assert report["ok"] is ok


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


def test_wide_beats_that_fill_a_gap_of_most_views_are_no_t_waves() -> None:
    s = signal({k + 0.5: NARROW_S for k in range(9)})
    beats = s.views[0]
    with_gap, with_t = np.delete(beats, [4, 5, 6]), np.sort(np.concatenate([beats, beats[:-1] + round(0.35 * FS)]))
    a, b = int(beats[0]), int(beats[-1])
    document = alert("INTERPRETATION", "ECG interpretation", "PN", "REGULARITY", 0.0, a, b, "")
    document["citations"][0] |= {"unit": "", "criterion": None}
    assert verify(document, seen(s, [with_gap] * 7 + [beats] * 2))["citations"][0]["verdict"] == "right"
    document["citations"][0]["value"] = float(np.std(np.diff(with_t)) / np.mean(np.diff(with_t)))
    assert verify(document, seen(s, [beats] * 7 + [with_t] * 2))["citations"][0]["verdict"] == "wrong"


@pytest.mark.parametrize("even", [True, False], ids=["each beat", "the mean alone"])
def test_beats_in_a_row_are_faster_than_a_limit_each(even: bool) -> None:
    rr_s = np.full(20, 0.4) + (0.0 if even else 0.06) * (-1.0) ** np.arange(20)
    at = 0.5 + np.cumsum(rr_s)
    a, b = round(at[0] * FS), round(at[-1] * FS)
    rule = "17 beats in a row faster than 140 bpm"
    document = alert("EXTREME_TACHY", "Extreme tachycardia", "PH", "HR", 60 * 19 / (b - a) * FS, a, b, rule)
    document["citations"][0]["criterion"] |= {"limit": 140.0, "accuracy": 5.0}
    report = verify(document, signal(dict.fromkeys(at.tolist(), NARROW_S)))
    assert report["ok"] is even, report
    assert even or report["citations"][0]["why"] == f"the beats are not {rule}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A P wave is seen before 3 of 6 beats [1].", ""),
        ("A P wave is seen before 3 of 12 beats [1].", "3 of 12 beats; there are 6 beats, not 12"),
        ("A P wave is seen before 6 of 6 beats [1].", "6 of 6 beats"),
    ],
)
def test_beats_are_counted_in_the_span_that_is_cited(text: str, why: str) -> None:
    a, b = round(0.5 * FS), round(4.5 * FS)
    document = alert("INTERPRETATION", "ECG interpretation", "PN", "ABSENT_P", 0.5, a, b, "")
    document["citations"][0] |= {"unit": "", "criterion": None}
    document["interpretation"] = {"text": text, "claims": [], "counts": {}}
    report = verify(document, signal({k * 0.8 + 0.5: NARROW_S for k in range(12)}))
    assert report["sentences"][0]["why"] == why


def test_a_p_wave_in_a_long_diastole_is_no_end_of_t() -> None:
    s = signal({k * 1.8 + 0.5: NARROW_S for k in range(5)})
    t = np.arange(len(s.mv["II"])) / FS
    for beat in (k * 1.8 + 0.5 for k in range(5)):
        for after, width, top in ((0.28, 0.05, 0.25), (0.72, 0.04, 0.3)):
            s.mv["II"] += top * np.exp(-(((t - beat - after) / width) ** 2))
    on = round(2.27 * FS)
    for end_s, right in ((0.41, True), (0.8, False)):
        document = couplet("QT", 0.0, 2.27, 2.27 + end_s)
        value = (document["citations"][0]["end_sample"] - on) / FS * 1000
        document["citations"][0] |= {"value": value, "unit": "ms", "criterion": None}
        found = verify(document, s)["citations"][0]
        assert (found["verdict"] == "right") is right, found


def test_any_two_limb_leads_give_the_others() -> None:
    i, ii = np.random.default_rng(5).normal(0, 1, (2, 100))
    every = {"I": i, "II": ii, "III": ii - i, "aVR": -(i + ii) / 2, "aVL": i - ii / 2, "aVF": ii - i / 2}
    for two in (("II", "aVF"), ("aVR", "III"), ("I", "II")):
        s = Signal({x: every[x] for x in two}, FS)
        assert all(np.allclose(s.mv[x], row) for x, row in every.items())


def test_beats_are_found_beside_bursts_of_artefact() -> None:
    s = signal({k * 0.5 + 0.5: NARROW_S for k in range(19)})
    t, rng = np.arange(2500) / FS, np.random.default_rng(2)
    burst = np.where(np.abs(t - 3.0) < 0.1, 6 * rng.normal(size=2500), 0.0)
    views = Signal({"II": 0.4 * s.mv["II"] + burst}, FS, ("II",)).views
    assert any(len(w[w > 3.5 * FS]) == 12 for w in views)
