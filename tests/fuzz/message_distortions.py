"""Distortions of the messages: loss, numbers, lead order and sets, restarts, second producers, identity, floods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.signal.conditioning import resample
from tests.fuzz.distortion import Distortion, Rng, chance, number, power, seed_of
from tests.fuzz.feed import Packet, unusable


@dataclass(frozen=True)
class Lost(Distortion):
    """Messages that never arrive: at random, every second, a span, or all from a time on."""

    kind: str = "random"
    p: float = 0.1
    start_s: float = 0.0
    stop_s: float = 5.0
    stage: ClassVar[int] = 120
    weight: ClassVar[float] = 1.5

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Lost:
        kind = str(rng.choice(["random", "second", "span", "rest"]))
        start = number(rng, 0, seconds - 1, 1)
        return cls(seed_of(rng), kind, power(rng, 0.02, 0.6), start, round(start + number(rng, 1, 25, 1), 1))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        rng = self.rng
        kept = []
        for packet in packets:
            gone = {
                "random": bool(rng.random() < self.p),
                "second": packet.sequence % 2 == 1 and packet.start_s >= self.start_s,
                "span": self.start_s <= packet.start_s < self.stop_s,
                "rest": packet.start_s >= self.start_s,
            }[self.kind]
            if not gone:
                kept.append(packet)
        return kept


@dataclass(frozen=True)
class Sequence(Distortion):
    """Sequence numbers that do not count by one: doubled, one far ahead, starting high, or always the same."""

    kind: str = "doubled"
    at_s: float = 0.0
    stage: ClassVar[int] = 115
    group: ClassVar[str] = "sequence"

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Sequence:
        return cls(
            seed_of(rng), str(rng.choice(["doubled", "one far ahead", "high", "same"])), number(rng, 0, seconds, 1)
        )

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        ahead = False
        for packet in packets:
            match self.kind:
                case "doubled":
                    packet.sequence *= 2
                case "high":
                    packet.sequence += 2**52
                case "same":
                    packet.sequence = 7
                    unusable(packet)
                case _:
                    if not ahead and packet.start_s >= self.at_s:
                        packet.sequence, ahead = 2**53 - 1, True
                    if ahead:
                        unusable(packet)
        return packets


@dataclass(frozen=True)
class LeadOrder(Distortion):
    """The leads come in another order in each message, or in every second one."""

    each: bool = True
    stage: ClassVar[int] = 105
    timing_only: ClassVar[bool] = True

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> LeadOrder:
        return cls(seed_of(rng), chance(rng, 0.5))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        rng = self.rng
        for k, packet in enumerate(packets):
            n = len(packet.leads)
            order = rng.permutation(n) if self.each else np.arange(n)[:: -1 if k % 2 else 1]
            packet.leads = [packet.leads[i] for i in order]
            packet.mv, packet.usable = packet.mv[order], packet.usable[order]
        return packets


@dataclass(frozen=True)
class LeadsAbsent(Distortion):
    """A lead is not in some messages: at random, or in spans; one lead stays."""

    p: float = 0.2
    which: int = 1
    start_s: float = 0.0
    stop_s: float = 60.0
    stage: ClassVar[int] = 104
    weight: ClassVar[float] = 1.5

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> LeadsAbsent:
        start = number(rng, 0, seconds, 1)
        p = 1.0 if chance(rng, 0.3) else power(rng, 0.03, 0.7)
        return cls(seed_of(rng), p, int(rng.integers(2)), start, round(start + number(rng, 1, 40, 1), 1))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        rng = self.rng
        for packet in packets:
            inside = self.start_s <= packet.start_s < self.stop_s
            if rng.random() < self.p and inside and len(packet.leads) > 1:
                gone = self.which % len(packet.leads)
                packet.leads_off = [x for x in packet.leads_off if x != packet.leads[gone]]
                packet.leads = packet.leads[:gone] + packet.leads[gone + 1 :]
                packet.mv, packet.usable = np.delete(packet.mv, gone, 0), np.delete(packet.usable, gone, 0)
        return packets


@dataclass(frozen=True)
class RateChange(Distortion):
    """From a time on the device sends at another rate."""

    at_s: float = 10.0
    fs_hz: float = 500.0
    stage: ClassVar[int] = 103

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> RateChange:
        return cls(seed_of(rng), number(rng, 0, seconds, 1), float(rng.choice([100, 125, 200, 250, 360, 500, 1000])))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        changed = False
        for packet in packets:
            if packet.start_s < self.at_s:
                continue
            mv = resample(packet.mv, packet.fs_hz, self.fs_hz)
            at = (np.arange(mv.shape[1]) * (packet.fs_hz / self.fs_hz)).astype(int)
            packet.usable = packet.usable[:, np.minimum(at, packet.usable.shape[1] - 1)]
            packet.marks = [min(mv.shape[1] - 1, int(m * self.fs_hz / packet.fs_hz)) for m in packet.marks]
            packet.mv, packet.fs_hz = mv, self.fs_hz
            if not changed:
                unusable(packet)
            changed = True
        return packets


@dataclass(frozen=True)
class Restart(Distortion):
    """The producer starts anew: a new epoch, perhaps with another clock, another patient, or an hour of backlog."""

    at_s: float = 10.0
    kind: str = "plain"
    offset_s: float = 0.0
    stage: ClassVar[int] = 116
    weight: ClassVar[float] = 1.5

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Restart:
        kind = str(rng.choice(["plain", "other clock", "backlog", "patient", "older epoch", "each message"]))
        return cls(seed_of(rng), number(rng, 0, seconds, 1), kind, round(power(rng, 10, 1e4)))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        first = -1
        for k, packet in enumerate(packets):
            if packet.start_s < self.at_s:
                continue
            first = k if first < 0 else first
            packet.epoch += k if self.kind == "each message" else (-1 if self.kind == "older epoch" else 1000)
            packet.sequence -= packets[first].sequence if k > first else packet.sequence
            if self.kind == "other clock":
                packet.device_s += self.offset_s
            if self.kind == "patient":
                packet.patient = "p-0001"
            backlog = self.kind == "backlog" and packet.start_s < self.at_s + 6
            if backlog:
                packet.device_s -= self.offset_s
            if k == first or backlog or self.kind in ("older epoch", "each message"):
                unusable(packet)
        return packets


@dataclass(frozen=True)
class SecondProducer(Distortion):
    """Another device sends under the same name for a while: in the same, a newer or an older epoch."""

    epoch: int = 0
    start_s: float = 5.0
    stop_s: float = 20.0
    stage: ClassVar[int] = 117

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> SecondProducer:
        start = number(rng, 0, seconds, 1)
        return cls(seed_of(rng), int(rng.choice([-5, 0, 5])), start, round(start + number(rng, 2, 40, 1), 1))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        others = []
        for packet in packets:
            if not self.start_s <= packet.start_s < self.stop_s:
                continue
            other = packet.copy()
            other.mv = np.roll(-packet.mv, packet.mv.shape[1] // 3, axis=1)
            other.epoch += self.epoch
            other.append_s += 0.01
            others.append(other)
        if others:
            for packet in [*packets, *others]:
                unusable(packet)
        return packets + others


@dataclass(frozen=True)
class Identity(Distortion):
    """The pseudonym or the place changes without a new epoch."""

    at_s: float = 10.0
    kind: str = "patient"
    stage: ClassVar[int] = 118

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Identity:
        return cls(
            seed_of(rng),
            number(rng, 0, seconds, 1),
            str(rng.choice(["patient", "no patient", "alternating", "place", "paced"])),
        )

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        for k, packet in enumerate(packets):
            if packet.start_s < self.at_s:
                continue
            match self.kind:
                case "patient":
                    packet.patient = "p-0002"
                case "no patient":
                    packet.patient = ""
                case "alternating":
                    packet.patient = ("p-0003", "", "p-81f3")[k % 3]
                case "place":
                    packet.unit, packet.bed = "ward-9", "Bett ä"
                case _:
                    packet.paced = not packet.paced
        return packets


@dataclass(frozen=True)
class Flood(Distortion):
    """Hundreds of messages at once: one message again, new numbers far ahead, or a new epoch each."""

    kind: str = "same"
    at_s: float = 10.0
    count: int = 300
    stage: ClassVar[int] = 150
    weight: ClassVar[float] = 0.5

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Flood:
        kind = str(rng.choice(["same", "numbers", "epochs"]))
        return cls(seed_of(rng), kind, number(rng, 0, seconds, 1), int(rng.integers(50, 400)))

    def on_packets(self, packets: list[Packet]) -> list[Packet]:
        model = next((p for p in packets if p.start_s >= self.at_s), None)
        if model is None:
            return packets
        out = list(packets)
        for k in range(self.count):
            again = model.copy()
            if self.kind == "numbers":
                again.sequence += 1000 + 2 * k
            elif self.kind == "epochs":
                again.epoch += 1 + k
            unusable(again)
            out.append(again)
        if self.kind != "same":
            for packet in out:
                unusable(packet)
        return out


MESSAGE_DISTORTIONS: tuple[type[Distortion], ...] = (
    Lost,
    Sequence,
    LeadOrder,
    LeadsAbsent,
    RateChange,
    Restart,
    SecondProducer,
    Identity,
    Flood,
)
