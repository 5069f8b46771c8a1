"""A ward in Redis for the station's tests: beds, vitals, an asystole with its strip and interpretation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event

import numpy as np
from redis.asyncio import Redis
from redis.exceptions import RedisError

from models.ecg import Ecg
from streams.alert import Alert, alert_id
from streams.alert_bus import AlertBus
from streams.bed import Bed, Vitals
from streams.document import ns_of_time
from streams.window import window_of_ecg
from streams.wire import encode_window
from tests.streams.publishing import publish_alert, publish_bed, publish_strip, publish_vitals

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


class WardInRedis:
    """Takes the publisher's place; each call is one message of Kafka."""

    def __init__(self, url: str, site: str = "main") -> None:
        self.url, self.site = url, site
        self._offset = count()
        self.start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=11)

    def bed(self, **changes: object) -> None:
        bed = Bed.model_validate(
            {"bed_stream": BED, "unit": "icu-3", "bed": "07", "patient": "p-81f3", "since": self.start} | changes
        )
        self._publish(lambda bus, k: publish_bed(bus, bed, "ecg.beds/0", k, 1))

    def vitals(self, hr: float = 72.0, judged_s_ago: float = 1.0) -> None:
        wave = (0.1 * np.sin(np.arange(125) / 5)).round(3).tolist()
        at = datetime.now(UTC)
        doc = {
            "bed_stream": BED, "at": at, "judged_at": at - timedelta(seconds=judged_s_ago), "hr": hr,
            "rhythm": "regular rhythm", "pvc_per_min": 0,
            "quality": {"II": 0.98},
            "wave": {"lead": "II", "sampling_rate": 125.0, "start": at - timedelta(seconds=1), "mv": wave},
        }  # fmt: skip
        self._publish(lambda bus, k: publish_vitals(bus, Vitals.model_validate(doc), "ecg.vitals/0", k))

    @contextmanager
    def vitals_every_second(self) -> Iterator[None]:
        """Vitals at 1 Hz, as of a live bed, also while Redis is lost and after it is back."""
        ended = Event()

        def publish() -> None:
            while not ended.wait(1.0):
                with suppress(RedisError, OSError):
                    self.vitals()

        with ThreadPoolExecutor(1) as thread:
            publishing = thread.submit(publish)
            try:
                yield
            finally:
                ended.set()
            publishing.result()

    def alert(self, version: int = 1, **changes: object) -> Alert:
        alert = asystole(self.start, version, **changes)
        self._publish(lambda bus, k: publish_alert(bus, alert, "ecg.alerts/0", k, 1))
        return alert

    def strip(self) -> None:
        window = window_of_ecg(
            strip_of_asystole(),
            bed_stream=BED,
            unit="icu-3",
            bed="07",
            epoch=1,
            sequence=0,
            gateway_time_ns=time.time_ns(),
            lsb_uv=2.5,
        )
        identity = asystole(self.start).id
        value = encode_window(window)
        now_ms = time.time_ns() // 1_000_000
        self._publish(lambda bus, k: publish_strip(bus, identity, value, "ecg.strips/0", k, now_ms))

    def _publish(self, call: object) -> None:
        async def once() -> None:
            async with Redis.from_url(self.url) as client:
                await call(AlertBus(client, self.site), next(self._offset))  # type: ignore[operator]

        with ThreadPoolExecutor(1) as thread:  # the browser's driver has a loop of its own in the test's thread
            thread.submit(asyncio.run, once()).result()
