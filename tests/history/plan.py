"""Planted conditions: every bed's heart stands still several times, at times that follow from the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from streams.wire import EcgWindow
from tests.agents.signals import S, ecg, messages

SETTLE_S = 14.0  # of the beat detector, before the first condition
STANDSTILL_S = 9.0
REST_S = (14.0, 26.0)  # between two of one bed; within 5 s it would be the same alert
TAIL_S = 8.0  # with beats, at the end
BEAT_S = 0.4  # of the first beat (`tests.agents.signals.ecg`)


@dataclass(frozen=True)
class Condition:
    """One planted asystole; the onset is the last beat before it."""

    bed_stream: str
    onset_s: float
    end_s: float
    code: str = "ASYSTOLE"


@dataclass(frozen=True, eq=False)
class PlannedWard:
    """Beds of one unit with their messages (one a second) and conditions; times are seconds of the signal."""

    unit: str
    seconds: int
    messages: tuple[tuple[EcgWindow, ...], ...]
    conditions: tuple[Condition, ...]

    @property
    def beds(self) -> tuple[str, ...]:
        """Bed streams."""
        return tuple(windows[0].bed_stream for windows in self.messages)

    def dated(self, start_ns: int, epoch: int) -> PlannedWard:
        """The same ward from another time on."""
        moved = start_ns - self.messages[0][0].device_time_ns
        dated = tuple(
            tuple(
                replace(
                    w, epoch=epoch, device_time_ns=w.device_time_ns + moved, gateway_time_ns=w.gateway_time_ns + moved
                )
                for w in windows
            )
            for windows in self.messages
        )
        return replace(self, messages=dated)


def planned_ward(
    seed: int, unit: str, beds: int, seconds: int, leads: tuple[str, ...] = ("II", "V1"), fs_hz: float = 250.0
) -> PlannedWard:
    """A ward out of a seed."""
    rng = np.random.default_rng(seed)
    ward, conditions = [], []
    for k in range(beds):
        name = f"{k:02d}"
        bpm = float(rng.uniform(62, 92))
        silent = []
        at = SETTLE_S + float(rng.uniform(0, REST_S[1]))
        while at + STANDSTILL_S + TAIL_S <= seconds:
            silent.append((at, at + STANDSTILL_S))
            beats = np.arange(BEAT_S, seconds, 60.0 / bpm)
            onset, end = beats[beats < at][-1], beats[beats >= at + STANDSTILL_S][0]
            conditions.append(Condition(f"{unit}/{name}", float(onset), float(end)))
            at += STANDSTILL_S + float(rng.uniform(*REST_S))
        signal = ecg(seconds, bpm, leads=leads, fs_hz=fs_hz, silent=silent, start_ns=S, seed=seed * 100 + k)
        ward.append(tuple(messages(signal, bed=name, unit=unit, patient=f"p-{k:04d}")))
    return PlannedWard(unit, seconds, tuple(ward), tuple(conditions))
