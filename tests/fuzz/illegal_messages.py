"""Messages that break a rule of the contract, one rule each, injected beside a bed's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from streams import ecg_window_pb2
from streams.partition import partition_of
from tests.fuzz.distortion import Distortion, Rng, number, seed_of
from tests.fuzz.feed import Packet, Record

PARTITIONS = 2  # the schedules run on partition 0 of two
Message = ecg_window_pb2.EcgWindow
Change = Callable[[Message], object]


def _set(**fields: object) -> Change:
    def change(message: Message) -> None:
        for name, value in fields.items():
            setattr(message, name, value)

    return change


def _list(name: str, values: list[object]) -> Change:
    def change(message: Message) -> None:
        del getattr(message, name)[:]
        getattr(message, name).extend(values)

    return change


def _samples(factor: float, extra: bytes = b"") -> Change:
    """The signal repeated ``factor`` times, and bytes that are no whole sample."""

    def change(message: Message) -> None:
        n = len(message.samples)
        message.samples = (message.samples * max(1, int(factor)))[: int(n * factor)] + extra

    return change


def _leads(count: int) -> Change:
    def change(message: Message) -> None:
        del message.leads[:]
        message.leads.extend(f"L{k}" for k in range(count))
        del message.leads_off[:]
        message.samples = bytes(2 * count * max(1, round(0.25 * message.sampling_rate)))

    return change


def _many_names(message: Message) -> None:
    del message.leads[:]
    message.leads.extend(f"lead number {k}" for k in range(30_000))
    message.samples = bytes(2 * 30_000)


BROKEN_RULES: dict[str, Change] = {
    "schema missing": _set(schema=0),
    "schema newer": _set(schema=99),
    "rate NaN": _set(sampling_rate=float("nan")),
    "rate infinite": _set(sampling_rate=float("inf")),
    "rate zero": _set(sampling_rate=0.0),
    "rate negative": _set(sampling_rate=-250.0),
    "rate 49": _set(sampling_rate=49.0),
    "rate 2001": _set(sampling_rate=2001.0),
    "rate tiny": _set(sampling_rate=1e-300),
    "no leads": _list("leads", []),
    "lead twice": lambda m: (_leads(2)(m), _list("leads", ["II", "MLII"])(m)),
    "lead without a name": lambda m: (_leads(2)(m), _list("leads", ["II", " "])(m)),
    "65 leads": _leads(65),
    "600 leads": _leads(600),
    "30,000 leads": _many_names,
    "lead name of a megabyte": lambda m: (_leads(1)(m), _list("leads", ["x" * 900_000])(m)),
    "lead name of 65": lambda m: (_leads(1)(m), _list("leads", ["x" * 65])(m)),
    "lead name unprintable": lambda m: (_leads(1)(m), _list("leads", ["II\x00"])(m)),
    "gain zero": _list("lsb_uv", [0.0]),
    "gain negative": _list("lsb_uv", [-2.0]),
    "gain NaN": _list("lsb_uv", [float("nan")]),
    "gain infinite": _list("lsb_uv", [float("inf")]),
    "no gain": _list("lsb_uv", []),
    "gains too many": _list("lsb_uv", [2.0] * 99),
    "no samples": _set(samples=b""),
    "half a sample": _samples(1, b"\x00"),
    "samples too long": _samples(60),
    "detached lead unknown": _list("leads_off", ["nowhere"]),
    "pacer mark outside": _list("pacer_marks", [4_000_000_000]),
    "age 200": _set(age_years=200),
    "sex X": _set(sex="X"),
    "patient by name": _set(patient="John Smith"),
    "patient long": _set(patient="p-" + "0" * 5000),
    "unit of a megabyte": _set(unit="u" * 900_000),
    "bed unprintable": _set(bed="\n\n"),
    "device time negative": _set(device_time_ns=-1),
    "device time far": _set(device_time_ns=2**63 - 1),
    "gateway time zero": _set(gateway_time_ns=0),
    "gateway time far": _set(gateway_time_ns=2**63 - 1),
    "epoch too large": _set(epoch=2**53),
    "sequence too large": _set(sequence=2**64 - 1),
    "bed stream of another bed": _set(bed_stream="icu-9/99"),
    "bed stream empty": _set(bed_stream=""),
    "bed stream reserved characters": _set(bed_stream="icu 3;07"),
}
BROKEN_BYTES: dict[str, Callable[[bytes, int], bytes | None]] = {
    "null": lambda value, seed: None,
    "empty": lambda value, seed: b"",
    "text": lambda value, seed: b"hello, monitor",
    "JSON": lambda value, seed: b'{"schema": 1, "bed_stream": "icu-3/07"}',
    "cut": lambda value, seed: value[: 1 + len(value) // 2],
    "a megabyte of 0xff": lambda value, seed: b"\xff" * 1_000_000,
    "name not UTF-8": lambda value, seed: value + b"\x1a\x02\xff\xfe",
}
ILLEGAL_KINDS = (*BROKEN_RULES, *BROKEN_BYTES, "key missing", "key of another bed", "wrong partition")


@dataclass(frozen=True)
class Illegal(Distortion):
    """Illegal messages of one kind, ``count`` of them from ``at_s`` on; ``target`` is the bed whose key they bear."""

    kind: str = "text"
    at_s: float = 10.0
    count: int = 1
    target: str = "own"
    stage: ClassVar[int] = 200
    weight: ClassVar[float] = 8.0

    @classmethod
    def draw(cls, rng: Rng, seconds: float) -> Illegal:
        return cls(
            seed_of(rng),
            str(rng.choice(ILLEGAL_KINDS)),
            number(rng, 0, seconds, 1),
            int(rng.choice([1, 1, 2, 5])),
            str(rng.choice(["own", "own", "other", "unknown"])),
        )

    def records(self, packets: list[Packet], key: bytes, other_key: bytes) -> list[Record]:
        if not packets:
            return []
        model = min(packets, key=lambda p: abs(p.start_s - self.at_s))
        bed_key = {"own": key, "other": other_key, "unknown": bed_of_partition("icu-8/", 0).encode()}[self.target]
        message = model.message(bed_key.decode())
        record_key: bytes | None = bed_key
        value: bytes | None
        if self.kind in BROKEN_RULES:
            BROKEN_RULES[self.kind](message)
            value = message.SerializeToString()
        elif self.kind in BROKEN_BYTES:
            value = BROKEN_BYTES[self.kind](message.SerializeToString(), self.seed)
        else:
            record_key = {"key missing": None, "key of another bed": b"icu-9/98"}.get(self.kind, bed_key)
            if self.kind == "wrong partition":
                message.bed_stream = bed_of_partition("icu-7/", 1)
                record_key = message.bed_stream.encode()
            value = message.SerializeToString()
        return [Record(self.at_s + 0.01 * k, record_key, value, self.kind) for k in range(self.count)]


def bed_of_partition(prefix: str, partition: int) -> str:
    """The first bed stream with this prefix whose key belongs on the partition."""
    names = (f"{prefix}{k:02d}" for k in range(1, 100))
    return next(n for n in names if partition_of(n.encode(), PARTITIONS) == partition)
