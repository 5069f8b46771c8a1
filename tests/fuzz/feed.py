"""The signal of a simulated producer and its messages, with the truth that the oracle needs.

`Signal` is the ECG before it is cut: float32 [leads, samples] mV, NaN where no sample is sent, and for each sample
whether it is usable: present, clean and of plausible amplitude, as generated. `Packet` is one message with its arrival
at the broker. Times are seconds from the beginning of the schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from streams import ecg_window_pb2
from tests.agents.signals import T0_NS, S

LATENCY_S = 0.05  # of the network, from the last sample to the broker
NO_SAMPLE = -32768
LETHAL = ("ASYSTOLE", "VFIB", "VTACH", "EXTREME_BRADY", "EXTREME_TACHY")
GRID_HZ = 50  # of the map of usable signal


@dataclass(frozen=True)
class Episode:
    """A lethal condition that begins at ``onset_s`` and lasts to the end of the signal."""

    code: str
    onset_s: float


@dataclass
class Signal:
    """A producer's signal before it is cut.

    Attributes
    ----------
    mv, usable : arrays [leads, samples]
        Millivolts; True where a sample is clean and plausible.
    beats_s : list of float
        R waves up to the episode, for pacing pulses.
    demands_episode : bool
        The episode must be raised where some lead is usable; a distortion may withdraw this.
    """

    leads: list[str]
    fs_hz: float
    mv: NDArray[np.float32]
    usable: NDArray[np.bool_]
    episode: Episode | None = None
    beats_s: list[float] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    leads_off: list[tuple[str, float, float]] = field(default_factory=list)
    paced: bool = False
    demands_episode: bool = True

    @property
    def n_samples(self) -> int:
        """Samples of each lead."""
        return int(self.mv.shape[1])

    @property
    def seconds(self) -> float:
        """Length."""
        return self.n_samples / self.fs_hz

    def span(self, start_s: float, stop_s: float) -> slice:
        """The samples of a span in seconds."""
        return slice(max(0, round(start_s * self.fs_hz)), max(0, round(stop_s * self.fs_hz)))

    def rows(self, leads: Sequence[int]) -> list[int]:
        """Lead numbers that exist; numbers count round."""
        return sorted({k % len(self.leads) for k in leads})


@dataclass
class Packet:
    """One message of a producer.

    Attributes
    ----------
    start_s : float
        True time of its first sample.
    append_s : float
        Arrival at the broker.
    device_s, gateway_s : float
        What the message says of them, relative to the schedule's beginning.
    usable : array [leads, samples]
        As in `Signal`; all False where nothing of the message can be used.
    """

    start_s: float
    append_s: float
    device_s: float
    gateway_s: float
    epoch: int
    sequence: int
    fs_hz: float
    leads: list[str]
    mv: NDArray[np.float32]
    usable: NDArray[np.bool_]
    lsb_uv: float = 2.0
    marks: list[int] = field(default_factory=list)
    leads_off: list[str] = field(default_factory=list)
    paced: bool = False
    patient: str = "p-81f3"
    unit: str = "icu-3"
    bed: str = "07"

    @property
    def seconds(self) -> float:
        """Length."""
        return float(self.mv.shape[1] / self.fs_hz)

    def copy(self) -> Packet:
        """A packet of its own; the arrays are shared until they are assigned."""
        return replace(self, leads=list(self.leads), marks=list(self.marks), leads_off=list(self.leads_off))

    def message(self, bed_stream: str) -> ecg_window_pb2.EcgWindow:
        """The Protobuf message, written without the checks of the product's own constructor."""
        units = np.clip(np.rint(np.nan_to_num(self.mv) * (1e3 / self.lsb_uv)), -32767, 32767)
        units[np.isnan(self.mv)] = NO_SAMPLE
        return ecg_window_pb2.EcgWindow(
            schema=1,
            bed_stream=bed_stream,
            unit=self.unit,
            bed=self.bed,
            patient=self.patient,
            device_time_ns=T0_NS + round(self.device_s * S),
            gateway_time_ns=T0_NS + round(self.gateway_s * S),
            epoch=self.epoch,
            sequence=self.sequence,
            sampling_rate=self.fs_hz,
            leads=self.leads,
            lsb_uv=[self.lsb_uv],
            samples=units.astype("<i2").tobytes(),
            leads_off=self.leads_off,
            pacer_marks=self.marks,
            paced=self.paced,
        )


@dataclass(frozen=True)
class Record:
    """One record as it reaches the broker; ``illegal`` names the rule that it breaks."""

    append_s: float
    key: bytes | None
    value: bytes | None
    illegal: str = ""


def cut(signal: Signal, lengths_s: Sequence[float], epoch: int = 1_760_000_000_000) -> list[Packet]:
    """The messages of a signal, of the given lengths in turn, as a perfect producer sends them."""
    packets: list[Packet] = []
    a, k = 0, 0
    marks = np.array(sorted(signal.marks), np.int64)
    while True:
        n = max(1, round(lengths_s[k % len(lengths_s)] * signal.fs_hz))
        if a + n > signal.n_samples:
            return packets
        start_s, stop_s = a / signal.fs_hz, (a + n) / signal.fs_hz
        last_s = (a + n - 1) / signal.fs_hz
        packets.append(
            Packet(
                start_s=start_s,
                append_s=stop_s + LATENCY_S,
                device_s=start_s,
                gateway_s=last_s,
                epoch=epoch,
                sequence=k,
                fs_hz=signal.fs_hz,
                leads=list(signal.leads),
                mv=signal.mv[:, a : a + n],
                usable=signal.usable[:, a : a + n],
                marks=[int(m) - a for m in marks[(marks >= a) & (marks < a + n)]],
                leads_off=[
                    x
                    for x in signal.leads
                    if any(x == y and b < stop_s and e > start_s for y, b, e in signal.leads_off)
                ],
                paced=signal.paced,
            )
        )
        a, k = a + n, k + 1


def unusable(packet: Packet) -> None:
    """Nothing of this message is demanded to be judged."""
    packet.usable = np.zeros_like(packet.usable)


def usable_map(packets: Sequence[Packet], seconds: float) -> dict[str, NDArray[np.bool_]]:
    """For each lead, on a grid of `GRID_HZ`: usable signal was delivered."""
    n = round(seconds * GRID_HZ)
    found: dict[str, NDArray[np.bool_]] = {}
    for packet in packets:
        a, b = round(packet.start_s * GRID_HZ), round((packet.start_s + packet.seconds) * GRID_HZ)
        at = ((np.arange(a, b) / GRID_HZ - packet.start_s) * packet.fs_hz).round().astype(int)
        at = np.clip(at, 0, packet.mv.shape[1] - 1)
        for row, lead in enumerate(packet.leads):
            line = found.setdefault(lead, np.zeros(n, bool))
            if lead not in packet.leads_off:
                part = packet.usable[row, at] & np.isfinite(packet.mv[row, at])
                line[a:b] |= part[: max(0, n - a)]
    return found


def present_map(packets: Sequence[Packet], seconds: float) -> NDArray[np.bool_]:
    """On a grid of `GRID_HZ`: some attached lead had a sample."""
    found = np.zeros(round(seconds * GRID_HZ) + 1, bool)
    for packet in packets:
        rows = [k for k, lead in enumerate(packet.leads) if lead not in packet.leads_off]
        at = np.flatnonzero(np.isfinite(packet.mv[rows]).any(axis=0)) / packet.fs_hz + packet.start_s
        found[np.clip((at * GRID_HZ).round().astype(int), 0, found.size - 1)] = True
    return found
