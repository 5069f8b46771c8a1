"""The encoder tier: loads what is there, says why where nothing is, and its steady findings become advice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agents.monitor.encoder_tier import EncoderTier
from agents.settings import Settings
from models.ecg import Ecg
from models.leads import INDEPENDENT_8
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest


async def test_without_an_encoder_it_says_why_and_takes_nothing(tmp_path: Path) -> None:
    tier = EncoderTier(Settings(encoder=tmp_path / "none"))
    await tier.start()
    assert tier.info is None and "none" in tier.unavailable
    tier.offer("icu-3/07", ecg(10, leads=INDEPENDENT_8, fs_hz=500.0))
    await tier.stop()


async def test_the_shipped_encoder_is_named_in_the_provenance_and_takes_windows() -> None:
    tier = EncoderTier(Settings())
    results: list[tuple[str, dict[str, float]]] = []

    async def found(bed_stream: str, window: Ecg, labels: dict[str, float]) -> None:
        results.append((bed_stream, labels))

    tier.found = found
    await tier.start()
    assert tier.info is not None and tier.info.weights.startswith("sha256:") and tier.unavailable == ""
    tier.offer("icu-3/07", ecg(10, leads=INDEPENDENT_8, fs_hz=250.0))
    while tier.busy:
        await asyncio.sleep(0.02)
    await tier.stop()
    assert tier.unavailable == ""
    assert all(name == "icu-3/07" for name, _ in results)


class Flaky:
    """In place of the batcher: raises for the beds of ``sick``."""

    def __init__(self, sick: set[str]) -> None:
        self.sick = sick

    async def encode(self, bed_stream: str, window: object) -> object:
        if bed_stream in self.sick:
            raise ValueError("no features")
        return window

    async def close(self) -> None:
        """Nothing waits."""


async def test_the_failure_of_one_segment_is_not_that_of_the_encoder() -> None:
    tier = EncoderTier(Settings())
    tier._batcher = flaky = Flaky({"icu-3/07"})

    async def offer(*beds: str) -> str:
        for bed in beds:
            tier.offer(bed, ecg(10, leads=INDEPENDENT_8, fs_hz=250.0))
            while tier.busy:
                await asyncio.sleep(0)
        return tier.unavailable

    for _ in range(4):
        assert await offer("icu-3/07", "icu-3/08") == ""
    flaky.sick.add("icu-3/08")
    assert "no features" in await offer("icu-3/07", "icu-3/08", "icu-3/07")
    flaky.sick.clear()
    assert await offer("icu-3/08") == "", "it is there again"


def test_findings_that_five_looks_agree_on_become_an_interpretation_alert_that_never_sounds() -> None:
    bed = BedUnderTest().feed(messages(ecg(40, leads=INDEPENDENT_8, fs_hz=250.0)))
    windows = [output.encoder_window for output in bed.outputs if output.encoder_window is not None]
    assert len(windows) >= 12, "one every two seconds, once ten seconds are there"
    raised = [o for _ in range(5) for o in bed.monitor.apply_encoder_result(windows[-1], {"LBBB": 0.93}, trained=True)]
    (output,) = raised
    (alert,) = output.alerts
    assert (alert.code, alert.kind, alert.priority, alert.sounding) == ("INTERPRETATION", "advisory", "PN", False)
    assert alert.segment is not None and alert.segment.duration_s == 10.0
    assert output.strips[0].alert_id == alert.id
    assert "left bundle branch block 0.93" in output.flag_reason


def test_an_encoder_that_was_never_trained_raises_nothing() -> None:
    bed = BedUnderTest().feed(messages(ecg(40, leads=INDEPENDENT_8, fs_hz=250.0)))
    window = next(output.encoder_window for output in reversed(bed.outputs) if output.encoder_window is not None)
    assert [o for _ in range(9) for o in bed.monitor.apply_encoder_result(window, {"LBBB": 0.93}, trained=False)] == []


def test_a_bed_with_few_leads_gives_the_encoder_nothing() -> None:
    bed = BedUnderTest().feed(messages(ecg(40, leads=("I", "II", "V1"))))
    assert not any(output.encoder_window for output in bed.outputs)
