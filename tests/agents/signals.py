"""Signals for the tests of the agents: beats of a fixed template, with scripted silence, cut to messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.ecg import Ecg
from models.leads import STANDARD_12
from streams.wire import EcgWindow, window_of_ecg

S = 1_000_000_000
T0_NS = 1_760_000_000 * S  # a whole second
_WAVES = ((-0.18, 0.022, 0.12), (-0.025, 0.008, -0.10), (0.0, 0.011, 1.1), (0.028, 0.009, -0.2), (0.28, 0.045, 0.28))
_WEIGHTS = dict(zip(STANDARD_12, (0.7, 1.0, 0.3, -0.85, 0.2, 0.65, -0.4, 0.3, 0.7, 1.1, 1.0, 0.8), strict=True))


def ecg(
    seconds: float,
    bpm: float = 75.0,
    *,
    leads: Sequence[str] = ("II", "V1"),
    fs_hz: float = 250.0,
    silent: Sequence[tuple[float, float]] = (),
    start_ns: int = T0_NS,
    seed: int = 1,
) -> Ecg:
    """Sinus rhythm at ``bpm``; in the ``silent`` stretches (seconds) no beat falls, the line is flat but for noise."""
    n = round(seconds * fs_hz)
    t = np.arange(n) / fs_hz
    shape: NDArray[np.float64] = np.zeros(n)
    for beat_s in np.arange(0.4, seconds, 60.0 / bpm):
        if any(a <= beat_s < b for a, b in silent):
            continue
        near = slice(max(0, int((beat_s - 0.5) * fs_hz)), int((beat_s + 0.7) * fs_hz))
        for at, width, height in _WAVES:
            shape[near] += height * np.exp(-0.5 * ((t[near] - beat_s - at) / width) ** 2)
    noise = np.random.default_rng(seed).normal(0, 0.008, (len(leads), n))
    mv = np.stack([shape * _WEIGHTS.get(lead, 1.0) for lead in leads]) + noise
    return Ecg(tuple(leads), fs_hz, mv.astype(np.float32), start_ns=start_ns)


def messages(
    signal: Ecg,
    *,
    bed: str = "07",
    unit: str = "icu-3",
    patient: str = "p-81f3",
    epoch: int = 1,
    first: int = 0,
    message_s: float = 1.0,
    clock_offset_s: float = 0.0,
) -> list[EcgWindow]:
    """The signal as a device sends it; the gateway has each message as soon as its last sample is there."""
    step = round(message_s * signal.fs_hz)
    out = []
    for k, start in enumerate(range(0, signal.n_samples - step + 1, step)):
        part = signal.slice(start, start + step)
        last_ns = part.start_ns + round((step - 1) / signal.fs_hz * S)
        out.append(
            window_of_ecg(
                part,
                bed_stream=f"{unit}/{bed}",
                unit=unit,
                bed=bed,
                patient=patient,
                epoch=epoch,
                sequence=first + k,
                gateway_time_ns=last_ns + round(clock_offset_s * S),
                lsb_uv=2.0,
            )
        )
    return out
