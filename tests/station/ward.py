"""A ward in Redis for the station's tests: beds, vitals, alerts with strips and interpretations.

Documents reach Redis by the publisher's own script (`streams.alert_bus`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event

import numpy as np
from redis.asyncio import Redis
from redis.exceptions import RedisError

from models.ecg import Ecg
from models.leads import STANDARD_12
from streams.alert import Alert, alert_id
from streams.alert_bus import AlertBus, Entry, alert_entry, bed_entry, strip_entry, vitals_entry
from streams.bed import Bed, Vitals
from streams.document import ns_of_time
from streams.keys import Keys
from streams.window import window_of_ecg
from streams.wire import encode_window

FS_HZ = 250.0
BED = "icu-3/07"
NASTY = '<img src=x onerror="document.title=1"> & "quotes"'  # must reach the page as text


def strip_of_asystole() -> Ecg:
    """Ten seconds of II and V1: spikes every 0.8 s up to 3.2 s, then silence."""
    mv = np.random.default_rng(1).normal(0, 0.01, (2, 2500)).astype(np.float32)
    for beat in range(200, 801, 200):
        mv[:, beat - 4 : beat + 5] += np.array([[1.0], [-0.8]], np.float32) * np.hanning(9).astype(np.float32)
    return Ecg(("II", "V1"), FS_HZ, mv)


def asystole(start: datetime, version: int = 1, **changes: object) -> Alert:
    """The alert of that strip; from version 2 on it carries its interpretation."""
    onset = start + timedelta(seconds=3.2)
    identity = alert_id(BED, "ASYSTOLE", ns_of_time(onset))
    text = "The rhythm stops for 6.80 s [1] after beats with PR 212 ms [2]."
    doc: dict[str, object] = {
        "id": identity, "version": version, "phase": "start" if version == 1 else "update", "state": "on",
        "kind": "physiological", "code": "ASYSTOLE", "priority": "PH", "title": f"Asystole {NASTY}", "bed_stream": BED,
        "patient": "p-81f3", "unit": "icu-3", "bed": "07", "onset": onset, "detected": start + timedelta(seconds=10),
        "published": start + timedelta(seconds=10), "sounded": True, "sounding": True, "leads": ["II", "V1"],
        "segment": {"start": start, "duration_s": 10.0, "sampling_rate": FS_HZ,
                    "strip": f"ecg:{{main}}:strip:{identity}"},
        "citations": [citation(1, "RR", 6.8, "s", ["II", "V1"], 800, 2500, start),
                      citation(2, "PR", 212.0, "ms", ["II"], 547, 600, start)][: 2 if version > 1 else 1],
        "provenance": {"monitor": "0.1.0"},
    }  # fmt: skip
    if version > 1:
        doc["interpretation"] = {
            "source": "gem", "at": start + timedelta(seconds=12), "text": text, "seconds": 1.4,
            "claims": [claim(text, "stops for 6.80 s", "supported", 1), claim(text, "PR 212 ms", "supported", 2),
                       claim(text, "ST is elevated in V1", "contradicted", None)],
            "counts": {"supported": 2, "contradicted": 1, "unsupported": 0},
            "model": {"name": "gem-compact", "weights": "sha256:0", "precision": "fp32", "device": "cpu"},
        }  # fmt: skip
    return Alert.model_validate(doc | changes)


def citation(
    n: int, measure: str, value: float, unit: str, leads: list[str], a: int, b: int, start: datetime
) -> object:
    instants = [start + timedelta(seconds=x / FS_HZ) for x in (a, b)]
    return {
        "n": n, "measure": measure, "value": value, "unit": unit, "leads": leads,
        "start": instants[0], "end": instants[1], "start_s": a / FS_HZ, "end_s": b / FS_HZ,
        "start_sample": a, "end_sample": b, "confidence": 0.98, "method": "beats 1",
        "beats": [{"r_sample": a, "start_sample": a, "end_sample": b, "value": value}],
    }  # fmt: skip


def claim(text: str, words: str, verdict: str, number: int | None) -> object:
    start = text.index(words) if words in text else None
    return {
        "text": words,
        "start": start,
        "end": None if start is None else start + len(words),
        "verdict": verdict,
        "citation": number,
        "rule": "measured",
    }


def strip_of_twelve(fs_hz: float = FS_HZ, height_mv: float = 1.0) -> Ecg:
    """Ten seconds of twelve leads: a P wave, a QRS of ``height_mv`` in II and a T wave every 0.8 s."""
    n = round(10 * fs_hz)
    time_s = np.arange(n) / fs_hz % 0.8
    wave = sum(
        a * np.exp(-((time_s - at) ** 2) / (2 * width**2))
        for a, at, width in ((0.12, 0.10, 0.02), (-0.1, 0.236, 0.008), (1.0, 0.26, 0.010), (0.25, 0.5, 0.04))
    )
    scale = np.linspace(0.4, 1.0, 12)[:, None] * np.array([1, 1, 1, -1, 0.6, 1, -1, 0.5, 0.9, 1, 1, 1])[:, None]
    mv = height_mv * scale / scale[1] * wave + np.random.default_rng(2).normal(0, 0.006, (12, n))
    return Ecg(STANDARD_12, fs_hz, mv.astype(np.float32))


def other_alert(
    code: str, title: str, priority: str, onset: datetime, bed_stream: str = BED, **changes: object
) -> Alert:
    """An alert without strip and citations; from its onset to its detection pass five seconds."""
    unit, bed = bed_stream.split("/")
    detected = onset + timedelta(seconds=5)
    doc: dict[str, object] = {
        "id": alert_id(bed_stream, code, ns_of_time(onset)), "version": 1, "phase": "start", "state": "on",
        "kind": "physiological", "code": code, "priority": priority, "title": title, "bed_stream": bed_stream,
        "patient": "p-81f3", "unit": unit, "bed": bed, "onset": onset, "detected": detected, "published": detected,
        "sounded": True, "sounding": True, "provenance": {"monitor": "0.1.0"},
    }  # fmt: skip
    return Alert.model_validate(doc | changes)


class WardInRedis:
    """Takes the publisher's place; each document is one message of Kafka."""

    def __init__(self, url: str, site: str = "main") -> None:
        self.url, self.site = url, site
        self.keys = Keys(site)
        self._offset = count()
        self.known: list[str] = []  # bed streams, as their documents are published
        self.start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=11)

    def bed(self, bed_stream: str = BED, **changes: object) -> Bed:
        """Publish the document of a bed, monitored since 11 s."""
        unit, bed = bed_stream.split("/")
        doc = {"bed_stream": bed_stream, "unit": unit, "bed": bed, "patient": "p-81f3", "since": self.start}
        document = Bed.model_validate(doc | changes)
        if bed_stream not in self.known:
            self.known.append(bed_stream)
        self.publish(bed_entry(self.keys, document, "ecg.beds/0", next(self._offset), 1))
        return document

    def beds(self, names: Sequence[str]) -> None:
        """Publish the documents of many beds."""
        for name in names:
            self.bed(name)

    def vitals(
        self, hr: float = 72.0, judged_s_ago: float = 1.0, beds: Sequence[str] = (BED,), at: datetime | None = None,
        height_mv: float = 0.1,
    ) -> None:  # fmt: skip
        """Publish one second of vitals of each bed."""
        now = at or datetime.now(UTC)
        phase = now.timestamp() * 125
        wave = (height_mv * np.sin((np.arange(125) + phase) / 5)).round(3).tolist()
        doc = {
            "at": now, "judged_at": now - timedelta(seconds=judged_s_ago), "hr": hr, "rhythm": "regular rhythm",
            "pvc_per_min": 0, "quality": {"II": 0.98},
            "wave": {"lead": "II", "sampling_rate": 125.0, "start": now - timedelta(seconds=1), "mv": wave},
        }  # fmt: skip
        self.publish(
            *(
                vitals_entry(
                    self.keys, Vitals.model_validate(doc | {"bed_stream": bed}), "ecg.vitals/0", next(self._offset)
                )
                for bed in beds
            )
        )

    @contextmanager
    def vitals_every_second(self, beds: Sequence[str] = (BED,)) -> Iterator[None]:
        """Vitals at 1 Hz, as of a live ward, also while Redis is lost and after it is back."""
        ended = Event()

        def publish() -> None:
            due_s = time.monotonic()
            while not ended.wait(max(0.0, due_s - time.monotonic())):
                due_s += 1.0
                with suppress(RedisError, OSError):
                    if beds:
                        self.vitals(beds=tuple(beds))

        with ThreadPoolExecutor(1) as thread:
            publishing = thread.submit(publish)
            try:
                yield
            finally:
                ended.set()
            publishing.result()

    def alert(self, version: int = 1, **changes: object) -> Alert:
        """Publish a version of the asystole of bed icu-3/07."""
        return self.publish_alert(asystole(self.start, version, **changes))

    def other(self, code: str, title: str, priority: str, s_ago: float = 10.0, **changes: object) -> Alert:
        """Publish an alert of another code, whose onset was ``s_ago`` seconds before the ward's start."""
        onset = self.start - timedelta(seconds=s_ago)
        return self.publish_alert(other_alert(code, title, priority, onset, **changes))  # type: ignore[arg-type]

    def change(self, alert: Alert, **changes: object) -> Alert:
        """Publish the next version of an alert."""
        return self.publish_alert(Alert.model_validate(alert.model_dump() | {"version": alert.version + 1} | changes))

    def publish_alert(self, alert: Alert) -> Alert:
        self.publish(alert_entry(self.keys, alert, "ecg.alerts/0", next(self._offset), 1))
        return alert

    def strip(self, alert: Alert | None = None, ecg: Ecg | None = None) -> None:
        """Publish the strip of an alert; by default that of the asystole."""
        window = window_of_ecg(
            ecg or strip_of_asystole(),
            bed_stream=BED,
            unit="icu-3",
            bed="07",
            epoch=1,
            sequence=0,
            gateway_time_ns=time.time_ns(),
            lsb_uv=2.5,
        )
        identity = (alert or asystole(self.start)).id
        now_ms = time.time_ns() // 1_000_000
        self.publish(
            strip_entry(self.keys, identity, encode_window(window), "ecg.strips/0", next(self._offset), now_ms)
        )

    def publish(self, *entries: Entry) -> None:
        async def once() -> None:
            async with Redis.from_url(self.url) as client:
                await AlertBus(client, self.site).publish(entries)

        with ThreadPoolExecutor(1) as thread:  # the browser's driver has a loop of its own in the test's thread
            thread.submit(asyncio.run, once()).result()
