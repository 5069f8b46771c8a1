"""A condition over a longer time than a strip is cited by an instance on a strip, or it is not published."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import agents.monitor.reporting as reporting
from agents.monitor.citations import STEP_BACK_S, strips_back
from agents.monitor.signal_buffer import SignalBuffer
from agents.settings import Settings
from models.arrhythmia.episodes import Episode
from models.ecg import Ecg
from models.evidence import Evidence
from models.training.simulate import simulate
from streams.wire import encode_window
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest
from verification import read_strip, verify

LEADS = ("II", "V1")
QUICK = Settings(limits={"*": {"AFIB": {"seconds": 15}, "AFIB_END": {"seconds": 5}}})


def _fibrillation_that_ends() -> Ecg:
    """40 s of simulated atrial fibrillation, then 20 s of sinus rhythm."""
    rng = np.random.default_rng(3)
    parts = [simulate(rng, rhythm="afib", conduction="normal", repolarisation="normal").ecg for _ in range(4)]
    sinus = ecg(20, bpm=72, leads=LEADS, fs_hz=parts[0].fs_hz)
    mv = np.concatenate([*(part.select(LEADS).mv for part in parts), sinus.mv], axis=1)
    return Ecg(LEADS, sinus.fs_hz, mv.astype(np.float32), start_ns=T0_NS)


def test_the_end_of_atrial_fibrillation_is_cited_by_its_own_rule_and_verified() -> None:
    bed = BedUnderTest(settings=QUICK).feed(messages(_fibrillation_that_ends()))
    (end,) = [alert for alert in bed.of("AFIB_END") if alert.version == 1]
    assert [c.measure for c in end.citations] == ["REGULARITY", "ABSENT_P"]
    assert {c.criterion.rule for c in end.citations if c.criterion} == {"no atrial fibrillation for 5 s"}
    assert end.citations[0].value < 0.1 and end.citations[1].value < 0.2
    strip = next(s for output in bed.outputs for s in output.strips if s.alert_id == end.id)
    document = end.model_dump(mode="json", by_alias=True)
    assert verify(document, read_strip(encode_window(strip.window), LEADS))["ok"]


def test_strips_go_back_in_steps_as_far_as_the_condition_and_the_signal_reach() -> None:
    buffer = SignalBuffer(32.0)
    for second, window in enumerate(messages(ecg(32))):
        buffer.add(window, window.to_ecg(T0_NS), 0, T0_NS + second * S)
    newest = (22 * 250, 32 * 250)
    spans = list(strips_back(buffer, 0, newest, 250.0))
    assert spans[0] == newest and spans[-1][0] == 2 * 250
    assert all((a[0] - b[0]) / 250 == STEP_BACK_S for a, b in pairwise(spans))
    assert list(strips_back(buffer, 20 * 250, newest, 250.0)) == [newest]


@pytest.mark.parametrize("shown", ["never", "earlier", "always"])
def test_a_condition_that_no_strip_shows_is_not_published(monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    newest: list[int] = []

    def found(episode: Episode, start: int, window: Ecg) -> tuple[Evidence, ...]:
        newest.append(start)
        inside = tuple(replace(e, start=10, end=20) for e in episode.evidence)
        return inside if shown == "always" or (shown == "earlier" and start < newest[0]) else ()

    monkeypatch.setattr(reporting, "evidence_in_window", found)
    bed = BedUnderTest(settings=QUICK).feed(messages(_fibrillation_that_ends())[:34])
    raised = [alert for alert in bed.of("AFIB") if alert.version == 1]
    assert bool(raised) == (shown != "never")
    assert all(alert.citations for alert in raised)
    assert len(set(newest)) == len(newest), "a strip that shows nothing is measured once"
    assert shown != "never" or len(newest) > 1
