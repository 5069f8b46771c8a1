"""Distortions of time: lengths of messages, clocks, arrival, duplicates, declared rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tests.fuzz.distortion import Distortion, Rng, chance, number, power, seed_of
from tests.fuzz.feed import Packet, unusable

YEAR_S = 365.25 * 86400
T_1970_S = -1_760_000_000.0


@dataclass(frozen=True)
class MessageLengths(Distortion):
    """Messages of one length, or of mixed lengths."""

    seconds: tuple[float, ...] = (1.0,)
    group: ClassVar[str] = "lengths"
    timing_only: ClassVar[bool] = True
    weight: ClassVar[float] = 3.0

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> MessageLengths:
        if chance(rng, 0.7):
            return cls(seed_of(rng), (float(rng.choice([0.2, 0.25, 0.3, 0.5, 0.5, 1.024, 1.5, 2, 5, 10])),))
        return cls(seed_of(rng), tuple(power(rng, 0.21, float(rng.choice([1.0, 9.9]))) for _ in range(7)))

    def lengths_s(self) -> tuple[float, ...]:
        return self.seconds


@dataclass(frozen=True)
class DeviceClock(Distortion):
    """Device times that are not those of the samples."""

    kind: str = "truncated"
    size: float = 1.0
    at_s: float = 0.0
    stage: ClassVar[int] = 110
    group: ClassVar[str] = "device clock"
    timing_only: ClassVar[bool] = True
    weight: ClassVar[float] = 3.0

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> DeviceClock:
        at, kind = number(rng, 0, seconds, 1), str(rng.choice([*_CLOCKS]))
        return cls(seed_of(rng), kind, _CLOCKS[kind](rng), at)

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        rng = self.rng
        jumped = False
        for packet in packets:
            true_s = packet.device_s
            match self.kind:
                case "truncated":
                    packet.device_s = np.floor(true_s / self.size) * self.size
                case "jittered":
                    packet.device_s = true_s + float(np.clip(rng.normal(0, self.size), -3 * self.size, 3 * self.size))
                case "drifting":
                    packet.device_s = true_s * (1 + self.size)
                case "offset":
                    packet.device_s = true_s + self.size
                case "jump" | "small jump" if true_s >= self.at_s:
                    packet.device_s = true_s + self.size
                    if not jumped and self.kind == "jump":
                        unusable(packet)
                    jumped = True
                case "frozen":
                    packet.device_s = self.at_s
                    unusable(packet)
                case "random":
                    packet.device_s = float(rng.uniform(-self.size, self.size))
                    unusable(packet)
        return packets


_CLOCKS = {
    "truncated": lambda rng: float(rng.choice([0.1, 0.5, 1.0])),
    "jittered": lambda rng: power(rng, 0.01, 0.35),
    "drifting": lambda rng: float(rng.choice([-1, 1])) * power(rng, 1e-5, 5e-3),
    "offset": lambda rng: float(rng.choice([-1, 1])) * power(rng, 1, 3 * YEAR_S),
    "jump": lambda rng: float(rng.choice([-1, 1])) * power(rng, 6, 1e7),
    "small jump": lambda rng: number(rng, -4.5, 4.5, 2),
    "frozen": lambda rng: 0.0,
    "random": lambda rng: power(rng, 10, 1e5),
}


@dataclass(frozen=True)
class GatewayClock(Distortion):
    """Gateway times that are not those of the arrival."""

    kind: str = "offset"
    size: float = 0.0
    stage: ClassVar[int] = 111
    group: ClassVar[str] = "gateway clock"
    timing_only: ClassVar[bool] = True

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> GatewayClock:
        kind = str(rng.choice(["offset", "jittered", "frozen", "device", "1970", "2199"]))
        sizes = {"offset": float(rng.choice([-1, 1])) * power(rng, 0.5, 1e5), "jittered": power(rng, 0.01, 5)}
        return cls(seed_of(rng), kind, sizes.get(kind, 0.0))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        rng = self.rng
        for packet in packets:
            match self.kind:
                case "offset":
                    packet.gateway_s += self.size
                case "jittered":
                    packet.gateway_s += float(rng.normal(0, self.size))
                case "frozen":
                    packet.gateway_s = 0.0
                case "device":
                    packet.gateway_s = packet.device_s
                case "1970":
                    packet.gateway_s = T_1970_S + 1.0
                case _:
                    packet.gateway_s = 5_000_000_000.0
        return packets


@dataclass(frozen=True)
class Arrival(Distortion):
    """Messages reach the broker late: a stall, a backlog at the beginning, jitter, disorder within the waiting time."""

    kind: str = "stall"
    at_s: float = 0.0
    size_s: float = 5.0
    stage: ClassVar[int] = 130
    timing_only: ClassVar[bool] = True
    weight: ClassVar[float] = 2.0

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Arrival:
        kind = str(rng.choice(["stall", "backlog", "jitter", "disorder"]))
        size = number(rng, 0.05, 0.8, 2) if kind in ("jitter", "disorder") else number(rng, 1, 15, 1)
        return cls(seed_of(rng), kind, number(rng, 0, seconds, 1), size)

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        rng = self.rng
        for packet in packets:
            start_s = 0.0 if self.kind == "backlog" else self.at_s
            if self.kind in ("stall", "backlog"):
                if start_s <= packet.append_s < start_s + self.size_s:
                    packet.append_s = start_s + self.size_s
            elif self.kind == "jitter":
                packet.append_s += float(rng.uniform(0, self.size_s))
            elif rng.random() < 0.2:
                packet.append_s += self.size_s
        return packets


@dataclass(frozen=True)
class TooLate(Distortion):
    """Some messages arrive after their place was given up."""

    p: float = 0.1
    delay_s: float = 5.0
    stage: ClassVar[int] = 131

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> TooLate:
        return cls(seed_of(rng), power(rng, 0.01, 0.5), number(rng, 1.2, 20, 1))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        rng = self.rng
        for packet in packets:
            if rng.random() < self.p:
                packet.append_s += self.delay_s
                unusable(packet)
        return packets


@dataclass(frozen=True)
class Duplicates(Distortion):
    """Messages that are sent again, soon or late, once or many times."""

    p: float = 0.2
    delay_s: float = 1.0
    copies: int = 1
    stage: ClassVar[int] = 140
    timing_only: ClassVar[bool] = True

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Duplicates:
        copies = int(rng.choice([1, 1, 1, 3, 20]))
        return cls(seed_of(rng), power(rng, 0.05, 1.0 / copies), number(rng, 0, 20, 1), copies)

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        rng = self.rng
        out = list(packets)
        for packet in packets:
            for _ in range(self.copies if rng.random() < self.p else 0):
                again = packet.copy()
                again.append_s += float(rng.uniform(0, self.delay_s))
                unusable(again)
                out.append(again)
        return out


@dataclass(frozen=True)
class RateByMessage(Distortion):
    """A measured rate: each message declares another, near the nominal one."""

    spread: float = 1e-4
    stage: ClassVar[int] = 106
    group: ClassVar[str] = "declared rate"
    timing_only: ClassVar[bool] = True

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> RateByMessage:
        return cls(seed_of(rng), power(rng, 2e-5, 2e-3))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        rng = self.rng
        for packet in packets:
            declared = packet.fs_hz * (1 + float(rng.uniform(-self.spread, self.spread)))
            packet.fs_hz = min(2000.0, max(50.0, declared))
        return packets


TIMING_DISTORTIONS: tuple[type[Distortion], ...] = (
    MessageLengths,
    DeviceClock,
    GatewayClock,
    Arrival,
    TooLate,
    Duplicates,
    RateByMessage,
)
