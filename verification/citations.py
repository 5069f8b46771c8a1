"""Check of one citation: its place, its unit, its criterion, and its value measured again from the samples.

Own QRS boundaries decide with `EDGE_S` of tolerance; the end of a T wave, by the largest trapezium with three right
corners (Vázquez-Seisdedos 2011), with `T_END_S`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from verification.signal import RESTS_S, Beats, Samples, Signal
from verification.tables import IN_A_ROW, MEASURES

# Of a beat, a QRS boundary, the end of T; no wave is nearer to the segment's edge than the margin, and in a diastole
# longer than the gap no T is looked for: P waves may stand in it.
BEAT_S, EDGE_S, T_END_S, T_MV, MARGIN_S, T_GAP_S = 0.1, 0.06, 0.1, 0.12, 0.06, 0.8


def citation_fault(c: dict[str, Any], segment: Any, signal: Signal | None) -> tuple[str, float | None]:
    """Why the citation is wrong ("" where it is right), and the value measured again (None where it was not)."""
    m, v, a, b, leads = c["measure"], c["value"], c["start_sample"], c["end_sample"], c["leads"]
    if m not in MEASURES or MEASURES[m]["unit"] != c["unit"] or np.clip(v, *MEASURES[m]["range"]) != v:
        return f"{m} of {v:.4g} {c['unit']!r}", None
    if segment is None:  # of a technical alarm: seconds from the newest verdict
        lasts = (datetime.fromisoformat(c["end"]) - datetime.fromisoformat(c["start"])).total_seconds()
        off = max(abs(c["end_s"] - lasts), abs(v - lasts) if m == "SILENCE" else 0) > 0.002
        return f"the span is {lasts:.3f} s long" if off else _criterion_fault(c), None
    fs, origin = segment["sampling_rate"], datetime.fromisoformat(segment["start"])
    n, margin = round(segment["duration_s"] * fs), MARGIN_S * fs if "wave" in MEASURES[m] else 0
    if not margin <= a <= b <= n - margin or (a == b and m != "AMPLITUDE"):
        return f"samples {a} to {b} are not in the segment of {n}, 60 ms from its edges for a wave", None
    for at, seconds, instant in ((a, c["start_s"], c["start"]), (b, c["end_s"], c["end"])):
        since = (datetime.fromisoformat(instant) - origin).total_seconds()
        if max(abs(seconds - at / fs), abs(since - seconds)) > 0.6 / fs:
            return f"sample {at} is at {at / fs:.3f} s, not {seconds} s or {instant}", None
    differs = signal and (not set(leads) <= set(signal.mv) or abs(signal.fs / fs - 1) > 0.005)
    if len(set(leads)) < max(1, len(leads)) or differs:
        return f"the signal has not each of {leads} once, at {fs} Hz", None
    why = _beats_fault(c, fs) or _criterion_fault(c)
    return (why, None) if why or signal is None else _measured(c, signal)


def _beats_fault(c: dict[str, Any], fs: float) -> str:
    """A value that is not the length of its span, or a beat that is not inside it."""
    m, v, a, b, own = c["measure"], c["value"], c["start_sample"], c["end_sample"], "span" in MEASURES[c["measure"]]
    if own and len(c["beats"]) < 2 and abs((b - a) / fs - v / (1000 if c["unit"] == "ms" else 1)) > 2 / fs + 0.001:
        return f"the span is {(b - a) / fs:.3f} s long"
    for x in c["beats"]:
        if not a <= x["start_sample"] <= x["end_sample"] <= b or not a - 0.2 * fs <= x["r_sample"] <= b + 0.2 * fs:
            return f"the beat at {x['r_sample']} is outside the span"
        own = (x["end_sample"] - x["start_sample"]) / fs if m in ("RR", "SILENCE", "HR") else v
        if abs(own - x["value"]) > 2 / fs and m != "AMPLITUDE":
            return f"the beat at {x['r_sample']} has {x['value']}"
    return ""


def _criterion_fault(c: dict[str, Any]) -> str:
    """Whether the value meets the limit of its rule, in the rule's direction, within the accuracy of detection."""
    if c["criterion"] is None:
        return ""
    rule, limit, beyond = c["criterion"]["rule"], c["criterion"]["limit"], 0.0
    words = rule.replace("two", "2").replace("every second", "3").replace("every third", "3")
    if limit and "times the mean" not in rule and limit not in map(float, re.findall(r"\d+(?:\.\d+)?", words)):
        return f"limit {limit:g} is not in the rule {rule!r}"
    if re.search(MEASURES[c["measure"]].get("limit", "^$"), rule):
        beyond = (c["value"] - limit) * (1 if re.search(r"under|slower|up to [\d.]+ bpm", rule) else -1)
    accuracy = c["criterion"].get("accuracy") or MEASURES[c["measure"]].get("accuracy", 1.0)
    return f"{c['value']:.4g} does not meet the limit {limit:g} of {rule!r}" if beyond > accuracy + 0.01 else ""


def _measured(c: dict[str, Any], s: Signal) -> tuple[str, float | None]:
    m, v, a, b, fs, leads = c["measure"], c["value"], c["start_sample"], c["end_sample"], s.fs, tuple(c["leads"])
    rows, span_s, mean = [s.mv[x] for x in leads], (b - a) / fs, len(c["beats"]) > 1
    if m in ("RR", "SILENCE"):
        clear = [mean or not bool(np.any((w > a + 0.15 * fs) & (w < b - 0.15 * fs))) for w in s.views]
        ends = [all(len(w) and abs(w - x).min() <= BEAT_S * fs for x in (a, b)) for w in s.views]
        fine = 2 * sum(clear) >= len(clear) if m == "SILENCE" else any(map(all, zip(clear, ends, strict=True)))
        return "" if fine else "there are beats inside, or none at the ends", span_s if fine else None
    if m in ("HR", "REGULARITY"):
        rule, alone = c["criterion"] or {"rule": ""}, s if set(s.used) <= set(leads) else Signal(s.mv, fs, leads)
        found = [x for views in (s.views, alone.views) for x in _rhythms(m, a, b, views, fs)]
        found += _wave_rates(rows[0][a:b], fs) if "ventricular waves" in rule["rule"] else []
        if each := IN_A_ROW.match(rule["rule"]):  # so many of the beats cited, or all, within the accuracy
            rates = [60 * fs / np.diff(w[(w > a - BEAT_S * fs) & (w < b + BEAT_S * fs)]) for w in s.views]
            accuracy, sign = rule.get("accuracy") or 5.0, 1 if each[2] == "faster" else -1
            met = [(sign * (x - float(each[3])) > -accuracy).tobytes() for x in rates if len(x)]
            if not any(b"\1" * min(int(each[1]) - 1, len(x)) in x for x in met):
                return f"the beats are not {each[0]}", None
        return _nearest(m, found, v, *((0.6, 0.01) if m == "HR" else (0.04, 0.25)))
    if "power" in MEASURES[m]:
        rr = [f(np.diff(w)) / fs for w in s.views if len(w) > 1 for f in (np.median, np.mean)]
        return _nearest(m, [span_s * 1000 / r ** MEASURES[m]["power"] for r in rr], v, 10, 0.03)
    if m == "AMPLITUDE":
        return _nearest(f"{c['wave']} wave", _heights(c["wave"], rows[0], a, b, s), v, 0.04, 0.15)
    if m not in ("P", "PR", "QRS", "QT", "ST"):
        return "", None
    on = b if m in ("P", "PR") else a
    every = {leads, s.used if m == "ST" else leads}  # the PR segment of one lead may have a slope
    complexes = [s.qrs(x, on + round(0.05 * fs), rest) or (-s.n, -s.n) for x in every for rest in RESTS_S]
    misfit, own = min((max(abs(x[0] - on), abs(x[1] - b) if m == "QRS" else 0), x) for x in complexes)
    if misfit > EDGE_S * fs if m != "P" else a - EDGE_S * fs < own[0] < b - EDGE_S * fs:
        return f"the nearest QRS complex is from sample {own[0]} to {own[1]}", None
    if m in ("P", "PR"):
        why = _p_wave(rows, a, b if m == "P" else min(b, a + round(0.16 * fs)), fs)
        return why, None if why else span_s * 1000
    if m == "ST":
        return _nearest(m, st_levels(rows[0], a, b, fs), v, 0.03, 0.05)
    if m == "QRS":
        return "", (own[1] - own[0]) / fs * 1000
    high = [r for r in rows if np.ptp(r[own[1] + round(0.06 * fs) : b + round(0.1 * fs)]) > T_MV]
    corners = np.median([_t_ends(r, own[1], s) for r in high or rows], axis=0)
    return _nearest("QT", [float(e - a) / fs * 1000 for e in corners], v, T_END_S * (1000 if high else 2000), 0.0)


def _wave_rates(r: Samples, fs: float) -> list[float]:
    """Waves of a span a minute, counted by the lags at which it repeats itself with a correlation over 0.4."""
    x = np.correlate(r - r.mean(), r - r.mean(), "full")[len(r) - 1 :] / np.arange(len(r), 0, -1)
    return [60 * fs * round(len(r) / k) / len(r) for k in find_peaks(x, 0.4 * x[0])[0] if 0.18 < k / fs < 0.75]


def _rhythms(m: str, a: int, b: int, views: list[Beats], fs: float) -> list[float]:
    """Rates or variabilities by the views that have beats at both ends of a span."""
    near = BEAT_S * fs
    inside = [x for w in views if len(x := w[(w > a - near) & (w < b + near)]) > 1]
    inside = [w for w in inside if max(abs(w[0] - a), abs(b - w[-1])) < near]
    # A wide complex has no one instant: for a rate, the beats are counted, and those cited give the time.
    values = [(len(w) - 1) / (b - a) * 60 * fs if m == "HR" else np.diff(w).std() / np.diff(w).mean() for w in inside]
    same = [k for k, x in enumerate(values) if abs(x - np.median(values)) <= 0.04]
    # Where most views agree on a variability, the others miss beats or count T waves, unless theirs fill gaps.
    few = m == "HR" or 2 * len(same) <= len(values)
    return [x for k, x in enumerate(values) if few or k in same or _fills_gaps(inside[k], inside[same[0]], near)]


def _fills_gaps(beats: Beats, others: Beats, near: float) -> bool:
    """Whether beats are others and more where these leave a gap, as wide ones with low slopes do."""
    more, gaps = beats[np.abs(beats[:, None] - others).min(axis=1) > near], np.diff(others)
    wide = gaps[np.clip(np.searchsorted(others, more) - 1, 0, len(gaps) - 1)] > 1.5 * np.median(gaps)
    return len(more) == len(beats) - len(others) > 0 and bool(wide.all())


def _nearest(name: str, found: list[float], value: float, absolute: float, share: float) -> tuple[str, float | None]:
    """The value measured in one of several ways that is nearest to the one cited, and whether it is near enough."""
    best = float(min(found, key=lambda x: abs(x - value), default=np.inf))
    near = abs(best - value) <= max(absolute, share * abs(value))
    return "" if near else f"{name} measured {best:.4g}", best if np.isfinite(best) else None


def st_levels(row: Samples, a: int, b: int, fs: float) -> list[float]:
    """Level at ``b`` less that of the PR segment before ``a``, mV, by several lengths of either."""
    ends = [row[b - k : b + k + 1].mean() for k in {0, round(0.004 * fs), round(0.01 * fs)}]
    bases = [np.median(row[max(0, a - round(k * fs)) : a + 1]) for k in (0.012, 0.018, 0.03)]
    return [float(e - x) for e in ends for x in bases]


def _t_ends(row: Samples, qrs_off: int, s: Signal) -> list[int]:
    smooth, fs = uniform_filter1d(row, max(1, round(0.03 * s.fs))), s.fs
    later = [int(x) for w in s.likely for x in w if x > qrs_off + 0.2 * fs]
    after, start = min([*later, qrs_off + round(T_GAP_S * fs), len(row) - 1]), qrs_off + round(0.08 * fs)
    rests, out, gap = [max(0, qrs_off - round(0.14 * fs)), after - round(0.08 * fs)], [], after - qrs_off
    smooth = smooth - np.interp(np.arange(len(row)), rests, smooth[rests])  # the baseline may drift
    for share in (0.45, 0.6, 0.75):
        stop = max(start + 3, min(qrs_off + round(share * gap), len(row) - 1))
        top = start + int(np.argmax(np.abs(smooth[start:stop] - np.median(smooth[start:stop]))))
        steep = top + int(np.argmax(np.abs(np.gradient(smooth)[top : min(stop, top + round(0.16 * fs))])))
        at = np.arange(steep, stop)
        out.append(int(at[np.argmax(np.abs(smooth[steep] - smooth[at]) * (2 * stop - at - steep))]))
    return out


def _p_wave(rows: list[Samples], a: int, b: int, fs: float) -> str:
    """A deflection from the chord of the span that stands out from the noise, in any lead."""
    smooth = [uniform_filter1d(r, max(1, round(0.016 * fs)))[a : b + 1] for r in rows]
    bows = [float(np.abs(x - np.linspace(x[0], x[-1], len(x))).max()) for x in smooth]
    noise = [float(np.std(np.diff(r[max(0, a - round(0.1 * fs)) : a + 1], 2))) for r in rows]
    return "" if any(x > max(0.02, 0.01 + 2 * y) for x, y in zip(bows, noise, strict=True)) else "no P wave stands out"


def _heights(wave: str | None, row: Samples, a: int, b: int, s: Signal) -> list[float]:
    """Extremes of the span against the PR segment (by several lengths) and against the chord of the span."""
    piece = row[a : b + 1]
    if wave == "fibrillation":
        return [float(np.ptp(piece))]
    before = [int(x) for x in s.views[0] if x < a + 0.08 * s.fs]
    on = (s.qrs(s.used, before[-1]) if before and wave in ("S", "T") else None) or (a,)
    levels = [np.median(row[max(0, on[0] - round(w * s.fs)) : on[0] + 1]) for w in (0, 0.016, 0.04, 0.06)]
    found = [float(end - x) for x in [*levels, (row[a] + row[b]) / 2] for end in (piece.max(), piece.min())]
    return [x for x in found if wave in ("P", "T") or (x > 0) == (wave == "R")]
