"""Legal producers of every kind: an asystole is raised within 10 s, whatever their rates, leads, clocks and lengths."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from streams.alert import Alert
from streams.document import ns_of_time
from streams.window import NO_SAMPLE, EcgWindow
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest

SILENT_S = (24.3, 40.0)  # the last beat at 24.4 s of 75 a minute is left out: asystole from 23.6 s on
ONSET_S = 23.6


def windows(
    *, seconds: float = 36, message_s: float = 1.0, fs_hz: float = 250.0, leads: Sequence[str] = ("II", "V")
) -> list[EcgWindow]:
    """Beats, then asystole; the first sample is no whole second."""
    signal = ecg(seconds, leads=leads, fs_hz=fs_hz, silent=[SILENT_S], start_ns=T0_NS + 370_000_000)
    return messages(signal, message_s=message_s)


def fed(arrivals: Sequence[EcgWindow]) -> BedUnderTest:
    return BedUnderTest().feed(arrivals)


def asystole(bed: BedUnderTest, *, onset_within_s: float = 0.1, onset_s: float = ONSET_S) -> Alert:
    """The first version of the asystole: at its place, sounding, within 10 s."""
    assert bed.of("ASYSTOLE"), {alert.code for alert in bed.alerts}
    first = bed.of("ASYSTOLE")[0]
    assert (ns_of_time(first.onset) - T0_NS) / S - 0.37 == pytest.approx(onset_s, abs=onset_within_s)
    assert (first.published - first.onset).total_seconds() < 10.0
    assert first.sounding and not first.late
    return first


def only(window: EcgWindow, *leads: str) -> EcgWindow:
    """The message with these leads alone, in this order."""
    rows = [window.leads.index(lead) for lead in leads]
    return replace(window, leads=leads, lsb_uv=window.lsb_uv[rows], samples=window.samples[rows])


# ---- sampling rates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fs_hz",
    [
        50.0,
        50.0001,
        62.5,
        99.7,
        100.3,
        128.1,
        199.99,
        249.98,
        250.02,
        257.0,
        333.333,
        360.1,
        499.9,
        500.1,
        777.7,
        1999.5,
        2000.0,
    ],
)
def test_any_sampling_rate(fs_hz: float) -> None:
    first = asystole(fed(windows(seconds=31, fs_hz=fs_hz)))
    assert first.segment is not None
    assert first.segment.sampling_rate == pytest.approx(fs_hz, rel=0.001)


def test_a_measured_rate_that_varies_from_message_to_message() -> None:
    varied = [replace(w, fs_hz=250.0 + (0.02, -0.02, 0.0, 1.0)[k % 4]) for k, w in enumerate(windows())]
    first = asystole(fed(varied))
    assert first.segment is not None and first.segment.sampling_rate == 250.0


def test_another_rate_begins_a_new_analysis_and_the_asystole_goes_on() -> None:
    one, other = windows(seconds=60), windows(seconds=60, fs_hz=500.0)
    bed = fed([*one[:30], *other[30:]])
    asystole(bed)
    assert len({alert.id for alert in bed.of("ASYSTOLE")}) == 1


# ---- leads ---------------------------------------------------------------------------------------------------------


def lead_v_missing_now_and_then(window: EcgWindow, k: int) -> EcgWindow:
    return only(window, "II") if k % 7 in (3, 4) else window


def another_order(window: EcgWindow, k: int) -> EcgWindow:
    return only(window, "V", "II") if k % 2 else window


def alternating_leads(window: EcgWindow, k: int) -> EcgWindow:
    return only(window, ("II", "V")[k % 2])


def another_lead_joins(window: EcgWindow, k: int) -> EcgWindow:
    return only(window, "V") if k < 10 else window if k < 20 else only(window, "II")


def another_gain(window: EcgWindow, k: int) -> EcgWindow:
    units = window.samples // 4 if k % 2 else window.samples
    return replace(window, samples=units, lsb_uv=window.lsb_uv * (4 if k % 2 else 1))


@pytest.mark.parametrize("sent", [lead_v_missing_now_and_then, another_order, another_lead_joins, another_gain])
def test_leads_that_come_and_go(sent: Callable[[EcgWindow, int], EcgWindow]) -> None:
    bed = fed([sent(w, k) for k, w in enumerate(windows())])
    first = asystole(bed)
    assert {alert.kind for alert in bed.alerts} == {"physiological"}
    assert first.segment is not None and first.segment.duration_s == 10.0, "the strip reaches over all of them"
    assert all(v.hr == pytest.approx(75, abs=1) for v in bed.vitals[6:23])


def test_each_lead_in_every_second_message() -> None:
    asystole(fed([alternating_leads(w, k) for k, w in enumerate(windows())]))


def test_a_limb_lead_that_comes_and_goes_takes_its_derived_leads_along() -> None:
    with_i = windows(leads=("I", "II"))
    bed = fed([only(w, "II") if k % 7 in (3, 4) else w for k, w in enumerate(with_i)])
    asystole(bed)
    analysis = bed.monitor.live
    assert set(analysis.last.rhythm.quality) == {"I", "II", "III", "aVR", "aVL", "aVF"}  # type: ignore[union-attr]


def test_a_lead_absent_for_a_minute_leaves_the_vitals() -> None:
    steady = messages(ecg(90, leads=("II", "V")))
    bed = fed([*steady[:20], *(only(w, "II") for w in steady[20:])])
    assert set(bed.vitals[70].quality) == {"II", "V"}
    assert set(bed.vitals[-1].quality) == {"II"}


def test_new_names_in_every_message_cost_no_memory() -> None:
    renamed = [replace(w, leads=("II", f"X{k}")) for k, w in enumerate(windows())]
    bed = fed(renamed)
    asystole(bed)
    analysis = bed.monitor.live
    assert len(analysis.last.rhythm.quality) <= 64  # type: ignore[union-attr]


def test_sixty_four_leads_take_less_time_than_they_last() -> None:
    names = [f"X{k:02d}" for k in range(62)]
    many = windows(message_s=10.0, leads=["II", "V", *names], seconds=41, fs_hz=500.0)
    began = time.process_time()
    bed = fed(many)
    assert time.process_time() - began < 20.0
    assert bed.of("ASYSTOLE")[0].sounding


# ---- clocks --------------------------------------------------------------------------------------------------------

JITTER_S = np.random.default_rng(5).uniform(-0.3, 0.3, 400).tolist()


def truncated(window: EcgWindow, k: int) -> int:
    return window.device_time_ns // S * S


def jittered(window: EcgWindow, k: int) -> int:
    return window.device_time_ns + round(JITTER_S[k] * S)


def drifting(window: EcgWindow, k: int) -> int:
    return window.device_time_ns + (window.device_time_ns - T0_NS) // 10_000


def stuck(window: EcgWindow, k: int) -> int:
    return T0_NS


@pytest.mark.parametrize("message_s", [0.2, 0.5])
@pytest.mark.parametrize("device_clock", [truncated, jittered, drifting, stuck])
def test_device_clocks_change_no_beat(device_clock: Callable[[EcgWindow, int], int], message_s: float) -> None:
    sent = [replace(w, device_time_ns=device_clock(w, k)) for k, w in enumerate(windows(message_s=message_s))]
    bed = fed(sent)
    asystole(bed)
    assert all(v.hr == pytest.approx(75, abs=0.5) for v in bed.vitals[5:23])
    assert {alert.code for alert in bed.alerts} - {"CLOCK_JUMP"} == {"ASYSTOLE", "PAUSE"}


@pytest.mark.parametrize("device_clock", [truncated, jittered])
def test_a_restarted_worker_finds_the_same_instants(device_clock: Callable[[EcgWindow, int], int]) -> None:
    signal = ecg(90, silent=[(74.3, 90.0)], start_ns=T0_NS + 370_000_000)
    sent = [replace(w, device_time_ns=device_clock(w, k)) for k, w in enumerate(messages(signal, message_s=0.5))]
    alone = fed(sent)
    before = fed(sent[:148])
    after = BedUnderTest(before.monitor.bed, generation=2).feed(sent[20:148], replay=True).feed(sent[148:])
    assert asystole(alone, onset_s=74.0).id == asystole(after, onset_s=74.0).id


@pytest.mark.parametrize("wrong_s", [-95.7, -1e9, 95.7])
def test_a_gateway_whose_clock_is_wrong_leaves_the_bed_judged(wrong_s: float) -> None:
    bed = BedUnderTest()
    for k, window in enumerate(windows()):
        bed.clock.set_ns(window.gateway_time_ns + S // 20)
        wrong = replace(window, gateway_time_ns=window.gateway_time_ns + round(wrong_s * S))
        bed.outputs += bed.monitor.apply_window(wrong, k, bed.clock.now_ns())
        bed.clock.advance_s(0.6)
        bed.outputs += bed.monitor.tick(caught_up=True)
    assert bed.of("CANNOT_ANALYZE") == []
    assert bed.of("ASYSTOLE")[0].sounding


# ---- a backlog -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gateway_ns", [1_000_000_000, 4_000_000_000 * S], ids=["1970", "2096"])
def test_a_gateway_clock_that_was_never_set_gives_way_to_the_append_time(gateway_ns: int) -> None:
    bed = BedUnderTest()
    for k, window in enumerate(windows(seconds=36)):
        bed.clock.set_ns(window.gateway_time_ns + S // 20)
        bed.keep(bed.monitor.apply_window(replace(window, gateway_time_ns=gateway_ns + k * S), k, bed.clock.now_ns()))
        bed.keep(bed.monitor.tick(caught_up=True))
    asystole(bed, onset_within_s=1.0)


@pytest.mark.parametrize("known", [True, False], ids=["bed known", "new bed"])
@pytest.mark.parametrize("stamped", ["when measured", "when sent"])
def test_a_new_epoch_that_begins_with_an_hour_of_backlog(stamped: str, known: bool) -> None:
    """Five minutes stand for the hour: ten messages a second until the backlog has drained, then live."""
    hour_s, live_s, drained_s = 300, 30, 34
    signal = ecg(hour_s + live_s + drained_s, silent=[(hour_s + drained_s + 10.3, 400.0)], start_ns=T0_NS + 370_000_000)
    sent = [replace(w, epoch=2) for w in messages(signal)]
    bed = BedUnderTest()
    if known:
        bed.feed(messages(ecg(20, start_ns=T0_NS - 40 * S)))
    for k, window in enumerate(sent):
        arrival_ns = T0_NS + max(round((hour_s + k / 10) * S), (k + 2) * S)
        if stamped == "when sent":
            window = replace(window, gateway_time_ns=arrival_ns)
        bed.offset += 1
        bed.clock.set_ns(max(bed.clock.now_ns(), arrival_ns))
        bed.outputs += bed.monitor.apply_window(window, bed.offset, arrival_ns)
        bed.outputs += bed.monitor.tick(caught_up=True)
    asystole(bed, onset_s=hour_s + drained_s + 9.6, onset_within_s=1.0)
    assert bed.monitor.bed.clock_offset_s == pytest.approx(0.0, abs=1.0)


# ---- lengths, and missing samples ----------------------------------------------------------------------------------


def test_messages_of_any_length_from_a_fifth_of_a_second_to_ten_seconds() -> None:
    signal = ecg(40, silent=[SILENT_S], start_ns=T0_NS + 370_000_000, leads=("II", "V"))
    lengths_s, at, sent = (0.2, 1.0, 0.5, 10.0, 0.3, 2.0, 0.2), 0, []
    while at < signal.n_samples - 2500:
        step = round(lengths_s[len(sent) % 7] * 250)
        (part,) = messages(signal.slice(at, at + step), message_s=step / 250)
        sent.append(replace(part, sequence=len(sent)))
        at += step
    bed = fed(sent)
    assert bed.of("ASYSTOLE")
    assert (ns_of_time(bed.of("ASYSTOLE")[0].onset) - signal.start_ns) / S == pytest.approx(ONSET_S, abs=0.05)


@pytest.mark.parametrize("fs_hz", [250.0, 500.0])
def test_every_second_sample_is_an_ecg_of_half_the_rate(fs_hz: float) -> None:
    sent = []
    for window in windows(fs_hz=fs_hz):
        units = window.samples.copy()
        units[:, 1::2] = NO_SAMPLE
        sent.append(replace(window, samples=units))
    asystole(fed(sent))


@pytest.mark.parametrize(
    "thinned", [lambda units, k: units * 0 + NO_SAMPLE, lambda units, k: units if k % 2 else units * 0 + NO_SAMPLE]
)
def test_messages_without_samples_are_no_verdict(thinned: Callable[[np.ndarray, int], np.ndarray]) -> None:
    sent = [replace(w, samples=thinned(w.samples, k).astype(np.int16)) for k, w in enumerate(windows())]
    bed = BedUnderTest()
    judged = []
    for window in sent:
        bed.feed([window])
        judged.append(bed.monitor.live.last.rhythm.judged)  # type: ignore[union-attr]
    assert not any(judged)
    assert bed.of("ASYSTOLE") == []
