"""Simulation of 12-lead ECGs in mV with controlled pathology.

In: a random generator and, optionally, rhythm, conduction and repolarisation by name. Out: `Simulated`: the signal with
and without noise, the events, and the findings that hold by construction.

A record is a list of cardiac events in time (`_rhythm`: P waves and QRS complexes), each a few Gaussians of the heart
vector (`_waves`), projected onto the leads by `models.training.dipole`. Rates, intervals and their scatter are textbook
values of adults (conduction and QT: Surawicz et al., AHA/ACCF/HRS 2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.corpus.finding_labels import FindingLabels
from models.ecg import Ecg
from models.leads import STANDARD_12
from models.training.dipole import LEAD_MATRIX, GaussianWave, heart_vector, twelve_leads

RHYTHMS = {  # name -> share of the corpus
    "sinus": 0.44,
    "sinus_arrhythmia": 0.06,
    "afib": 0.16,
    "flutter": 0.03,
    "avb1": 0.07,
    "wenckebach": 0.02,
    "mobitz": 0.02,
    "avb3": 0.03,
    "junctional": 0.02,
    "svt": 0.03,
    "vtach": 0.02,
    "paced": 0.05,
    "bigeminy": 0.02,
    "trigeminy": 0.03,
}
CONDUCTIONS = {"normal": 0.66, "lbbb": 0.08, "rbbb": 0.09, "irbbb": 0.09, "lafb": 0.08}
REPOLARISATIONS = {
    "normal": 0.55,
    "ste_anterior": 0.04,
    "ste_inferior": 0.04,
    "ste_lateral": 0.02,
    "std": 0.08,
    "t_inverted": 0.09,
    "t_flat": 0.05,
    "qt_long": 0.07,
    "q_anterior": 0.03,
    "q_inferior": 0.03,
}
_NO_CHANGE = ("lbbb", "paced", "vtach")  # their repolarisation is secondary to the QRS
_ECTOPIC = 0.12  # share of sinus and AF records with single ectopic beats


@dataclass
class _Heart:
    """One patient's constants; vectors in Frank's frame, mV."""

    rate: float
    pr_s: float
    qrs_s: float
    qtc_s: float
    p: NDArray[np.float64]
    septal: NDArray[np.float64]
    main: NDArray[np.float64]
    terminal: NDArray[np.float64]
    t: NDArray[np.float64]
    st: NDArray[np.float64]
    p_s: float
    f_wave_mv: float = 0.0
    f_wave_hz: float = 6.0
    labels: FindingLabels = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One cardiac event: ``kind`` is P, N, S, V or paced; ``at_s`` is the onset of its wave."""

    kind: str
    at_s: float
    rr_s: float


@dataclass(frozen=True, eq=False)
class Simulated:
    """One record with its ground truth. ``clean_mv`` is the signal before noise; ``findings`` hold by construction."""

    ecg: Ecg
    clean_mv: NDArray[np.float32]
    events: tuple[Event, ...]
    rhythm: str
    conduction: str
    repolarisation: str
    findings: FindingLabels
    intervals: dict[str, float]
    """HR bpm; PR, QRS, QT ms as set; intervals that vary or are absent (PR in AF) are left out."""


def simulate(
    rng: np.random.Generator,
    *,
    rhythm: str | None = None,
    conduction: str | None = None,
    repolarisation: str | None = None,
    duration_s: float = 10.0,
    fs_hz: float = 500.0,
    noise: float = 1.0,
    rate: float | None = None,
) -> Simulated:
    """Simulate one record.

    Parameters
    ----------
    rng : numpy.random.Generator
        The same state gives the same record.
    rhythm, conduction, repolarisation : str, optional
        Keys of `RHYTHMS`, `CONDUCTIONS`, `REPOLARISATIONS`; drawn by their shares when not given.
    duration_s, fs_hz : float
        Length and sampling rate.
    noise : float
        0: none; 1: what a quiet ward has (wander 0.1 mV, muscle 10 µV, mains 5 µV).
    rate : float, optional
        Beats a minute; drawn for the rhythm when not given.

    Examples
    --------
    >>> record = simulate(np.random.default_rng(7), rhythm="avb1", conduction="normal", repolarisation="normal")
    >>> record.ecg.mv.shape, record.findings["AVB1"]
    ((12, 5000), True)
    """
    rhythm = rhythm or _draw(rng, RHYTHMS)
    conduction = conduction or (_draw(rng, CONDUCTIONS) if rhythm not in ("paced", "vtach") else "normal")
    if repolarisation is None:
        repolarisation = "normal" if conduction in _NO_CHANGE or rhythm in _NO_CHANGE else _draw(rng, REPOLARISATIONS)
    heart = _heart(rng, rhythm, conduction, repolarisation, rate)
    events = _rhythm(rng, rhythm, heart, duration_s)
    waves = [w for event in events for w in _waves(rng, event, heart)]
    n = round(duration_s * fs_hz)
    clean = twelve_leads(heart_vector(waves, n, fs_hz) + _f_waves(rng, heart, rhythm, n, fs_hz))
    marks = np.array(
        [round(e.at_s * fs_hz) for e in events if e.kind == "paced" and 0 <= e.at_s < duration_s], np.int64
    )
    for mark in marks:  # a pacing pulse is 1 ms or so: one to two samples
        clean[:, mark : mark + max(1, round(0.002 * fs_hz))] += (LEAD_MATRIX @ np.array([0.6, 0.9, 0.2]))[
            :, None
        ].astype(np.float32)
    mv = clean + noise * _noise(rng, n, fs_hz) if noise > 0 else clean
    ecg = Ecg(STANDARD_12, fs_hz, mv.astype(np.float32), pacer_marks=marks, paced=rhythm == "paced")
    return Simulated(
        ecg,
        clean,
        tuple(events),
        rhythm,
        conduction,
        repolarisation,
        _findings(heart, events, rhythm, conduction, repolarisation),
        _intervals(heart, rhythm),
    )


def _draw(rng: np.random.Generator, shares: dict[str, float]) -> str:
    p = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=p / p.sum()))


def _heart(rng: np.random.Generator, rhythm: str, conduction: str, repolarisation: str, rate: float | None) -> _Heart:
    rates = {
        "sinus": (45, 125),
        "afib": (55, 150),
        "svt": (150, 205),
        "vtach": (115, 200),
        "junctional": (38, 62),
        "paced": (55, 85),
        "avb3": (30, 46),
        "flutter": (70, 150),
    }
    low, high = rates.get(rhythm, (52, 105))
    rate = rate or float(rng.triangular(low, min(high, max(low + 1, 72)), high))
    axis = math.radians({"lafb": rng.uniform(-70, -45)}.get(conduction, rng.uniform(-20, 85)))
    size = rng.uniform(0.8, 1.6)
    main = size * np.array([math.cos(axis), math.sin(axis), rng.uniform(0.2, 0.7)])
    septal = size * np.array([rng.uniform(-0.25, -0.05), rng.uniform(-0.2, 0.05), rng.uniform(-0.4, -0.15)])
    terminal = size * np.array([rng.uniform(-0.15, 0.05), rng.uniform(-0.3, 0.0), rng.uniform(0.15, 0.45)])
    t_angle = axis * 0.5 + math.radians(rng.uniform(0, 35))
    t = rng.uniform(0.2, 0.5) * np.array([math.cos(t_angle), math.sin(t_angle), rng.uniform(-0.9, -0.2)])
    heart = _Heart(
        rate,
        pr_s=float(rng.uniform(0.13, 0.19)),
        qrs_s=float(rng.uniform(0.078, 0.104)),
        qtc_s=float(rng.uniform(0.375, 0.435)),
        p=rng.uniform(0.08, 0.17) * np.array([0.6, 0.8, rng.uniform(-0.4, 0.2)]),
        septal=septal,
        main=main,
        terminal=terminal,
        t=t,
        st=np.zeros(3),
        p_s=float(rng.uniform(0.085, 0.115)),
    )
    if rhythm == "avb1":
        heart.pr_s = float(rng.uniform(0.215, 0.32))
    heart.pr_s = min(heart.pr_s, 0.45 * 60 / rate) if rhythm != "avb1" else heart.pr_s
    _conduct(rng, heart, conduction, wide=rhythm in ("paced", "vtach"))
    if rhythm == "avb3" and rng.random() < 0.6:
        _conduct(rng, heart, "lbbb", wide=False)
    _repolarise(rng, heart, repolarisation)
    if rhythm in ("afib", "flutter"):
        heart.f_wave_mv = float(rng.uniform(0.02, 0.09) if rhythm == "afib" else rng.uniform(0.1, 0.2))
        heart.f_wave_hz = float(rng.uniform(5.0, 8.0) if rhythm == "afib" else rng.uniform(4.4, 5.4))
    return heart


def _conduct(rng: np.random.Generator, heart: _Heart, conduction: str, *, wide: bool) -> None:
    """Bend the QRS, and the T with it (secondary change points away from the slow terminal forces)."""
    size = float(np.linalg.norm(heart.main))
    if conduction == "lbbb" or wide:
        heart.qrs_s = float(rng.uniform(0.132, 0.18))
        up = -0.8 if wide else rng.uniform(-0.3, 0.4)  # pacing and ventricular rhythms mostly climb from the apex
        heart.septal = size * np.array([0.35, 0.1, 0.3])
        heart.main = size * np.array([0.9 if not wide else rng.uniform(-0.2, 0.8), up, 0.8])
        heart.terminal = size * np.array([0.7 if not wide else 0.3, up, 0.5])
        heart.t = -0.35 * heart.main
    elif conduction in ("rbbb", "irbbb"):
        full = conduction == "rbbb"
        heart.qrs_s = float(rng.uniform(0.126, 0.165) if full else rng.uniform(0.1, 0.116))
        heart.terminal = size * (0.75 if full else 0.4) * np.array([-0.7, rng.uniform(-0.2, 0.2), -0.75])
        if full:
            heart.t = heart.t - 0.25 * heart.terminal
    elif conduction == "lafb":
        heart.qrs_s = float(rng.uniform(0.09, 0.114))
        heart.septal = size * np.array([-0.15, 0.35, -0.15])  # q in aVL, r in the inferior leads


def _repolarise(rng: np.random.Generator, heart: _Heart, repolarisation: str) -> None:
    size = rng.uniform(0.15, 0.4)
    regions = {
        "anterior": np.array([0.3, 0.0, -0.9]),
        "inferior": np.array([-0.25, 1.0, 0.1]),
        "lateral": np.array([0.9, -0.3, 0.0]),
    }
    kind, _, region = repolarisation.partition("_")
    if kind == "ste":
        heart.st = size * regions[region]
        heart.t = heart.t + 0.5 * heart.st
    elif repolarisation == "std":
        heart.st = -rng.uniform(0.12, 0.3) * np.array([0.8, 0.45, -0.35])
        heart.t = 0.5 * heart.t
    elif repolarisation == "t_inverted":
        heart.t = -rng.uniform(0.5, 1.0) * heart.t
    elif repolarisation == "t_flat":
        heart.t = 0.12 * heart.t
    elif repolarisation == "qt_long":
        heart.qtc_s = float(rng.uniform(0.49, 0.58))
    elif kind == "q":
        toward = regions[region]
        heart.septal = -0.65 * float(np.linalg.norm(heart.main)) * toward
        heart.main = heart.main - 0.3 * float(heart.main @ toward) * toward
        heart.t = heart.t - rng.uniform(0.3, 0.8) * float(abs(heart.t @ toward) + 0.1) * toward


def _rhythm(rng: np.random.Generator, rhythm: str, heart: _Heart, duration_s: float) -> list[Event]:
    """The events of the record and one beat to each side, in time order."""
    rr = 60.0 / heart.rate
    at, events, beat, previous = -float(rng.uniform(0.2, 1.0)) * rr, [], 0, rr
    breath, modulation = (
        rng.uniform(0.2, 0.33),
        {"sinus_arrhythmia": rng.uniform(0.12, 0.25)}.get(rhythm, rng.uniform(0.0, 0.04)),
    )
    ectopy = (
        rhythm
        if rhythm in ("bigeminy", "trigeminy")
        else "single"
        if rhythm in ("sinus", "avb1", "afib") and rng.random() < _ECTOPIC
        else ""
    )
    ectopic_kind = "V" if ectopy in ("bigeminy", "trigeminy") or rhythm == "afib" or rng.random() < 0.6 else "S"
    every = {"bigeminy": 2, "trigeminy": 3, "single": int(rng.integers(4, 9))}.get(ectopy, 0)
    sinus = rhythm not in ("afib", "flutter", "junctional", "svt", "vtach", "avb3")
    while at < duration_s + rr:
        step, kind, pr = rr, "N", heart.pr_s
        if rhythm == "afib":
            step = rr * float(np.clip(rng.gamma(25, 1 / 25), 0.55, 1.9))
        elif rhythm == "flutter":
            step = float(rng.choice([2, 3, 4])) / heart.f_wave_hz if beat % 3 == 0 else previous
        elif rhythm in ("sinus", "sinus_arrhythmia", "avb1", "bigeminy", "trigeminy", "mobitz", "wenckebach"):
            step = rr * (1 + modulation * math.sin(2 * math.pi * breath * at) + 0.012 * float(rng.standard_normal()))
        if rhythm in ("paced", "vtach"):
            kind = "paced" if rhythm == "paced" else "V"
        if every and beat % every == every - 1:
            kind = ectopic_kind
            early = float(rng.uniform(0.55, 0.72))
            at -= (1 - early) * previous
            step = (2 - early) * rr if kind == "V" else rr * 1.05
        dropped = (rhythm == "mobitz" and beat % 3 == 2) or (rhythm == "wenckebach" and beat % 4 == 3)
        if rhythm == "wenckebach":
            pr = heart.pr_s + 0.06 * (beat % 4)
        if sinus and kind in ("N", "S") and rhythm != "paced":
            events.append(Event("P", at - pr + (0.02 if kind == "S" else 0.0), step))
        if not dropped:
            events.append(Event(kind, at, previous))
        previous, at, beat = step, at + step, beat + 1
    if rhythm == "avb3":
        events += [Event("P", t, 0.0) for t in np.arange(-0.5, duration_s + 1, 60.0 / rng.uniform(65, 100))]
    return sorted(events, key=lambda e: e.at_s)


def _waves(rng: np.random.Generator, event: Event, heart: _Heart) -> list[GaussianWave]:
    if event.kind == "P":
        s = heart.p_s / 5  # the visible part of a Gaussian is about five widths
        return [GaussianWave(event.at_s + 2.5 * s, s, s, _v(heart.p * rng.uniform(0.95, 1.05)))]
    septal, main, terminal, t, d = heart.septal, heart.main, heart.terminal, heart.t, heart.qrs_s
    if event.kind == "V" and d < 0.13:  # an ectopic beat; in a ventricular rhythm every beat is wide already
        size = 1.4 * float(np.linalg.norm(main))
        main, septal, terminal = (
            size * np.array([-0.5, 0.6, 0.6]),
            size * np.array([-0.2, 0.2, -0.2]),
            size * np.array([-0.4, 0.5, 0.4]),
        )
        d, t = 0.15, -0.4 * main
    gain = float(rng.uniform(0.97, 1.03))
    wide = d > 0.125
    qrs = [
        GaussianWave(event.at_s + 0.18 * d, 0.085 * d, 0.085 * d, _v(gain * septal)),
        GaussianWave(
            event.at_s + 0.45 * d, (0.15 if wide else 0.115) * d, (0.15 if wide else 0.115) * d, _v(gain * main)
        ),
        GaussianWave(event.at_s + 0.76 * d, 0.09 * d, 0.09 * d, _v(gain * terminal)),
    ]
    rr = min(max(event.rr_s, 0.28), 1.6)
    qt = heart.qtc_s * rr ** (1 / 3) + max(0.0, d - 0.1)
    fall = 0.2 * (qt - d) * 0.62
    peak = event.at_s + qt - 2.3 * fall
    repolarisation = [GaussianWave(peak, 1.5 * fall, fall, _v(gain * t))]
    if np.any(heart.st):
        middle = event.at_s + d + 0.075
        repolarisation.append(GaussianWave(middle, 0.045, 0.09, _v(gain * heart.st)))
    return qrs + repolarisation


def _v(x: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(x[0]), float(x[1]), float(x[2])


def _f_waves(rng: np.random.Generator, heart: _Heart, rhythm: str, n: int, fs_hz: float) -> NDArray[np.float64]:
    """Fibrillation: a wandering 5–8 Hz wave; flutter: a steady saw-tooth, largest along y (inferior leads)."""
    if not heart.f_wave_mv:
        return np.zeros((3, n))
    t = np.arange(n) / fs_hz
    if rhythm == "flutter":
        return np.multiply.outer([0.15, 1.0, -0.35], heart.f_wave_mv * (2 * ((heart.f_wave_hz * t) % 1.0) - 1.0))
    knots = np.linspace(0, t[-1], max(4, int(2 * t[-1])))
    rate = np.interp(t, knots, heart.f_wave_hz + rng.normal(0, 0.8, knots.size))
    size = np.interp(t, knots, heart.f_wave_mv * rng.uniform(0.5, 1.3, knots.size))
    phase = 2 * np.pi * np.cumsum(rate) / fs_hz
    return np.stack([0.3 * size * np.sin(phase + 1), 0.8 * size * np.sin(phase + 0.4), -size * np.sin(phase)])


def _noise(rng: np.random.Generator, n: int, fs_hz: float) -> NDArray[np.float32]:
    """Baseline wander, muscle and mains, each lead its own share; limb leads share the wander of two electrodes."""
    t = np.arange(n) / fs_hz
    electrodes = rng.uniform(0.0, 0.1) * np.stack(
        [np.sin(2 * np.pi * (rng.uniform(0.1, 0.45) * t + rng.random())) for _ in range(8)]
    )
    white = rng.standard_normal((8, n)) * rng.uniform(0.002, 0.014)
    muscle = white - 0.6 * np.roll(white, 1, axis=1)
    mains = rng.uniform(0, 0.006) * np.sin(2 * np.pi * (50.0 * t + rng.random()))
    i, ii = (electrodes + muscle + mains)[:2]
    limb = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2])
    return np.concatenate([limb, (electrodes + muscle + mains)[2:]]).astype(np.float32)


def _intervals(heart: _Heart, rhythm: str) -> dict[str, float]:
    rr = min(max(60 / heart.rate, 0.28), 1.6)
    out = {
        "HR": heart.rate,
        "QRS": 1000 * heart.qrs_s,
        "QT": 1000 * (heart.qtc_s * rr ** (1 / 3) + max(0.0, heart.qrs_s - 0.1)),
    }
    return out | {"PR": 1000 * heart.pr_s} if rhythm in ("sinus", "sinus_arrhythmia", "avb1") else out


def _findings(heart: _Heart, events: list[Event], rhythm: str, conduction: str, repolarisation: str) -> FindingLabels:
    kinds = {e.kind for e in events if e.kind != "P"}
    sinus = rhythm in ("sinus", "sinus_arrhythmia", "avb1", "bigeminy", "trigeminy")
    blocked = conduction != "normal" or rhythm in ("avb1", "wenckebach", "mobitz", "avb3")
    stt = repolarisation not in ("normal", "q_anterior", "q_inferior")
    infarct = repolarisation[:2] == "q_" or repolarisation[:4] == "ste_"
    secondary = conduction in ("lbbb", "rbbb") or rhythm in ("paced", "vtach", "avb3")
    labels = {
        "CD": blocked,
        "MI": infarct,
        "SINUS": sinus,
        "AFIB": rhythm in ("afib", "flutter"),
        "IRREGULAR_SINUS": rhythm == "sinus_arrhythmia",
        "PACED": rhythm == "paced",
        "PAC": "S" in kinds,
        "AVB1": rhythm == "avb1",
        "LBBB": conduction == "lbbb",
        "RBBB": conduction == "rbbb",
        "IRBBB": conduction == "irbbb",
        "LAFB": conduction == "lafb",
        "PVC": rhythm not in ("vtach", "avb3") and "V" in kinds,
        "QT_LONG": repolarisation == "qt_long",
    }
    labels["NORM"] = sinus and not (blocked or stt or infarct) and kinds == {"N"} and 50 <= heart.rate <= 100
    if not secondary:
        labels |= {
            "STTC": stt,
            "ST_DEPRESSED": repolarisation == "std",
            "ST_ELEVATED": repolarisation[:4] == "ste_",
            "T_INVERTED": repolarisation == "t_inverted",
        }
    if sinus:
        labels |= {"BRADY": heart.rate < 55, "TACHY": heart.rate > 100}
    return labels
