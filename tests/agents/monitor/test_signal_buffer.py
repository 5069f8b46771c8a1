"""The signal buffer keeps messages as they came, and a bed's memory is bounded."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace

import numpy as np

from agents.monitor.signal_buffer import SignalBuffer, signal_of
from models.leads import STANDARD_12
from streams.window import NO_SAMPLE
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest

MAX_MB, MAX_GROWTH_MB = 2.0, 0.1


def test_a_span_has_the_signal_of_its_messages_with_derived_leads() -> None:
    sent = messages(ecg(6, leads=("I", "II", "V1"), fs_hz=250.0), message_s=1.0)
    units = sent[2].samples.copy()
    units[1, 100:110] = NO_SAMPLE
    sent[2] = replace(sent[2], samples=units)
    buffer = SignalBuffer(30.0)
    for k, window in enumerate(sent):
        buffer.add(window, signal_of(window, 250.0), 0, T0_NS + k * S)
    got = buffer.span(125, 6 * 250)
    whole = np.concatenate([signal_of(window, 250.0).mv for window in sent], axis=1)
    assert got.leads == ("I", "II", "III", "aVR", "aVL", "aVF", "V1") and got.derived == ("III", "aVR", "aVL", "aVF")
    assert np.array_equal(got.mv, whole[:, 125:], equal_nan=True)
    assert np.isnan(got.lead("II")[475:485]).all() and np.isnan(got.lead("aVF")[475:485]).all()


def test_a_span_of_messages_of_one_kind_has_the_signal_of_each() -> None:
    """They are converted together; a message with other leads or another gain among them changes no sample."""
    sent = messages(ecg(6, leads=STANDARD_12[::-1], fs_hz=500.0), message_s=1.0)
    units = sent[3].samples.copy()
    units[1, 100:110] = NO_SAMPLE
    sent[3] = replace(sent[3], samples=units, leads_off=("V2",), pacer_marks=np.array([7, 480]))
    for changed in (sent[4], replace(sent[4], lsb_uv=2 * sent[4].lsb_uv)):
        buffer, missing = SignalBuffer(30.0), 50
        given = [*sent[:4], changed, sent[5]]
        for k, window in enumerate(given):
            buffer.add(window, signal_of(window, 500.0), missing * (k == 2), T0_NS + k * S)
        got = buffer.span(250, buffer.end - 100)
        each = [signal_of(window, 500.0).mv for window in given]
        whole = np.concatenate([*each[:2], np.full((12, missing), np.nan, np.float32), *each[2:]], axis=1)
        assert got.leads == STANDARD_12 and got.leads_off == ("V2",) and not got.derived
        assert np.array_equal(got.mv, whole[:, 250:-100], equal_nan=True)
        assert got.pacer_marks.tolist() == [1500 + missing + 7 - 250, 1500 + missing + 480 - 250]
        assert got.start_ns == T0_NS + S // 2


def test_the_memory_of_a_bed_is_bounded() -> None:
    """Twelve leads at 500 Hz: what is kept of the last minute is all there after a minute."""
    sent = messages(ecg(100, leads=STANDARD_12, fs_hz=500.0), message_s=1.0)
    BedUnderTest().feed(sent[:3])  # networks and caches of the process
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        bed = BedUnderTest()
        used_mb = []
        for part in (sent[:65], sent[65:]):
            bed.feed([replace(window, samples=window.samples.copy()) for window in part])  # messages of its own
            bed.outputs.clear()
            bed.written.clear()
            gc.collect()
            used_mb.append((tracemalloc.get_traced_memory()[0] - before) / 1e6)
    finally:
        tracemalloc.stop()
    assert used_mb[-1] < MAX_MB, used_mb
    assert used_mb[-1] - used_mb[0] < MAX_GROWTH_MB, used_mb
