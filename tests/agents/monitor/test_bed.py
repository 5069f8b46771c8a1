"""One bed, without a broker: what goes in, what comes out, and that a second worker finds the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.monitor.bed import joined
from agents.settings import Settings
from streams.alert import State, alert_id
from streams.bed import Action, Skipped
from streams.document import ns_of_time, time_of_ns
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest

PAUSED = ecg(50, leads=("II", "V1"), silent=[(20.0, 32.0)])  # the last beat at 19.6 s, the next at 32.4 s


def test_an_asystole_is_raised_within_seconds_with_its_place_and_strip() -> None:
    bed = BedUnderTest().feed(messages(PAUSED))
    first = bed.of("ASYSTOLE")[0]
    assert (first.version, first.state, first.sounding, first.late) == (1, State.ON, True, False)
    assert ns_of_time(first.onset) - T0_NS == pytest.approx(19.6 * S, abs=0.05 * S)
    assert (first.published - first.onset).total_seconds() < 5.2
    citation = first.citations[0]
    assert citation.measure in ("RR", "SILENCE") and citation.value >= 3.5 and citation.leads
    assert first.segment is not None
    assert 0 <= citation.start_sample < citation.end_sample <= first.segment.duration_s * 250
    strip = next(s for output in bed.outputs for s in output.strips if s.alert_id == first.id)
    assert strip.window.n_samples == round(first.segment.duration_s * 250)
    assert strip.window.leads == ("II", "V1")


def test_an_asystole_that_is_over_stays_latched_until_somebody_acknowledges_it() -> None:
    bed = BedUnderTest().feed(messages(PAUSED))
    last = bed.of("ASYSTOLE")[-1]
    assert (last.state, last.sounded) == (State.LATCHED, True)
    ack = Action(id="a1", action="acknowledge", bed_stream="icu-3/07", alert_id=last.id, by="rn-12", at=bed.clock_time)
    outputs, outcome = bed.monitor.apply_action(ack, 0)
    assert outcome.applied
    assert outputs[0].alerts[0].state is State.OFF
    assert outputs[0].bed is not None and outputs[0].bed.applied["ecg.actions"] == 0
    again, outcome = bed.monitor.apply_action(ack, 1)
    assert not outcome.applied and not [a for o in again for a in o.alerts]


def test_every_version_follows_the_one_before_and_its_bed_document_holds_it() -> None:
    bed = BedUnderTest().feed(messages(PAUSED))
    versions: dict[str, int] = {}
    for output in bed.outputs:
        for alert in output.alerts:
            assert alert.version == versions.get(alert.id, 0) + 1
            versions[alert.id] = alert.version
            assert output.bed is not None and alert in output.bed.alerts
    assert versions


@pytest.mark.parametrize(("off", "priority"), [(("II",), "PL"), (("II", "V1"), "PM")])
def test_a_bed_whose_electrodes_are_all_off_is_more_urgent_than_one_that_has_lost_one(
    off: tuple[str, ...], priority: str
) -> None:
    windows = messages(ecg(20, leads=("II", "V1")))
    bed = BedUnderTest().feed([*windows[:10], *(replace(window, leads_off=off) for window in windows[10:])])
    assert {alert.priority for alert in bed.of("LEADS_OFF")} == {priority}


@pytest.mark.parametrize("cut_s", [10, 22, 24, 26, 34])
def test_a_second_worker_goes_on_as_if_it_had_been_there(cut_s: int) -> None:
    windows = messages(PAUSED)
    alone = BedUnderTest().feed(windows)
    before = BedUnderTest().feed(windows[:cut_s])
    after = BedUnderTest(before.monitor.bed, generation=2)
    after.feed(windows[:cut_s], replay=True).feed(windows[cut_s:])
    both = before.alerts + after.alerts
    assert {a.id for a in both} == {a.id for a in alone.alerts}
    assert [(a.id, a.version, a.state) for a in both] == [(a.id, a.version, a.state) for a in alone.alerts]


@pytest.mark.parametrize("message_s", [0.2, 0.5, 2.0])
def test_the_size_of_the_messages_changes_no_alert(message_s: float) -> None:
    one = BedUnderTest().feed(messages(PAUSED))
    other = BedUnderTest().feed(messages(PAUSED, message_s=message_s))
    assert {a.id for a in one.of("ASYSTOLE")} == {a.id for a in other.of("ASYSTOLE")}


def test_windows_that_were_applied_before_only_warm() -> None:
    windows = messages(PAUSED)
    whole = BedUnderTest().feed(windows[:26])
    again = BedUnderTest(whole.monitor.bed)
    again.feed(windows[:26])  # delivered again, not marked as warm
    assert again.alerts == []


def test_a_feed_that_falls_silent_is_named_by_append_time_and_ends_with_the_next_message() -> None:
    windows = messages(ecg(40))
    bed = BedUnderTest().feed(windows[:10]).wait(8)
    assert bed.of("SILENT_FEED") == []
    (alert,) = bed.wait(1).of("SILENT_FEED")
    assert (alert.onset - time_of_ns(T0_NS)).total_seconds() == pytest.approx(10.05, abs=0.01)
    assert alert.priority == "PM"
    bed.feed(windows[20:22])
    assert bed.of("SILENT_FEED")[-1].state is State.OFF


def test_ten_second_messages_are_no_silence() -> None:
    bed = BedUnderTest().feed(messages(ecg(20), message_s=10.0)).wait(18)
    assert bed.of("SILENT_FEED") == []
    assert bed.wait(4).of("SILENT_FEED")


def test_a_bed_that_fell_silent_before_the_worker_started_is_named() -> None:
    before = BedUnderTest().feed(messages(ecg(5)))
    after = BedUnderTest(before.monitor.bed, generation=2)
    after.clock.set_ns(T0_NS + 3600 * S)
    (alert,) = after.wait(1).of("SILENT_FEED")
    assert alert.onset == before.monitor.bed.since


def test_a_burst_of_old_signal_is_recorded_and_does_not_sound() -> None:
    bed = BedUnderTest()
    bed.clock.set_ns(T0_NS + 300 * S)
    for window in messages(PAUSED):  # a gateway sends what it has kept: five minutes old, all at once
        bed.offset += 1
        bed.outputs += bed.monitor.apply_window(window, bed.offset, T0_NS + 300 * S)
    (first, *_) = bed.of("ASYSTOLE")
    assert first.late and not first.sounded
    assert not any(alert.sounded for alert in bed.alerts)


def test_what_holds_in_the_newest_signal_sounds_however_old_that_is() -> None:
    bed = BedUnderTest()
    bed.clock.set_ns(T0_NS + 300 * S)
    for window in messages(PAUSED)[:28]:  # and in the last of it the heart stands still
        bed.offset += 1
        bed.outputs += bed.monitor.apply_window(window, bed.offset, T0_NS + 300 * S)
    assert bed.of("ASYSTOLE") == []
    first = bed.wait(2).of("ASYSTOLE")[0]
    assert first.sounding and not first.late


@pytest.mark.parametrize("behind_s", [12.0, 42.9])
def test_live_signal_is_no_backlog_where_the_gateways_clock_is_slow(behind_s: float) -> None:
    bed = BedUnderTest()
    for window in messages(ecg(40, silent=[(20.4, 40.0)]), message_s=5.0):  # sent as it is measured
        arrival_ns = window.gateway_time_ns + S // 20
        bed.clock.set_ns(arrival_ns)
        slow = replace(window, gateway_time_ns=window.gateway_time_ns - round(behind_s * S))
        bed.offset += 1
        bed.keep(bed.monitor.apply_window(slow, bed.offset, arrival_ns))
        if bed.of("ASYSTOLE"):
            break
    assert bed.of("ASYSTOLE")[0].sounding, "with the message that shows it, not after a wait for a newer one"
    assert bed.clock.now_ns() == pytest.approx(T0_NS + 25 * S, abs=S)


def test_the_gap_that_live_first_leaves_is_recorded_then_analysed_behind() -> None:
    windows = messages(ecg(200, silent=[(60.0, 72.0)]))
    bed = BedUnderTest().feed(windows[:30])
    bed.clock.set_ns(T0_NS + 200 * S)
    (gap,) = bed.monitor.skip_to_latest(30, 179)
    assert gap.bed is not None and gap.bed.skipped == [Skipped(first=30, last=179)]
    for k in range(180, 200):
        bed.outputs += bed.monitor.apply_window(windows[k], k, T0_NS + (k + 1) * S)
    assert bed.alerts == [], "the newest signal is quiet"
    for k in range(30, 180):
        bed.outputs += bed.monitor.backfill_window(windows[k], T0_NS + (k + 1) * S)
    bed.outputs += bed.monitor.record_backfilled(179)
    first = bed.of("ASYSTOLE")[0]
    assert first.late and not first.sounded
    assert ns_of_time(first.onset) - T0_NS == pytest.approx(59.6 * S, abs=0.05 * S)
    assert bed.monitor.bed.skipped == []


def test_ranges_that_touch_are_one() -> None:
    parts = [Skipped(first=9, last=12), Skipped(first=1, last=4), Skipped(first=5, last=8), Skipped(first=20, last=21)]
    assert joined(parts) == [Skipped(first=1, last=12), Skipped(first=20, last=21)]


@pytest.mark.parametrize("shift_s", [3600.0, -3600.0])
def test_a_device_clock_that_jumps_leaves_the_time_of_documents_alone(shift_s: float) -> None:
    windows = messages(ecg(60, silent=[(35.0, 47.0)]))
    jumped = [replace(w, device_time_ns=w.device_time_ns + round(shift_s * S)) for w in windows[15:]]
    bed = BedUnderTest().feed(windows[:15] + jumped)
    assert bed.of("CLOCK_JUMP")[0].priority == "PL"
    assert ns_of_time(bed.of("ASYSTOLE")[0].onset) - T0_NS == pytest.approx(34.8 * S, abs=0.1 * S)
    assert bed.monitor.bed.clock_offset_s == pytest.approx(-shift_s)


def test_a_producer_that_starts_anew_does_not_end_an_asystole() -> None:
    windows = messages(ecg(60, silent=[(20.0, 60.0)]))
    restarted = [replace(w, epoch=2, sequence=k) for k, w in enumerate(windows[26:])]
    bed = BedUnderTest().feed(windows[:26] + restarted)
    assert {a.id for a in bed.of("ASYSTOLE")} == {
        alert_id("icu-3/07", "ASYSTOLE", ns_of_time(bed.of("ASYSTOLE")[0].onset))
    }
    assert bed.of("ASYSTOLE")[-1].state is State.ON


def test_a_new_pseudonym_in_a_new_epoch_is_a_new_patient_and_inside_one_a_mismatch() -> None:
    windows = messages(ecg(30))
    inside = [replace(w, patient="p-9999") for w in windows[10:12]]
    bed = BedUnderTest().feed(windows[:10] + inside)
    assert bed.of("PATIENT_MISMATCH")[0].patient == "p-81f3"
    bed.feed([replace(w, patient="p-9999", epoch=2) for w in windows[12:20]])
    assert bed.monitor.bed.patient == "p-9999"


def test_limits_changed_at_the_bed_hold_from_the_next_second() -> None:
    bed = BedUnderTest().feed(messages(ecg(10)))
    limits = Action(
        id="l1",
        action="limits",
        bed_stream="icu-3/07",
        by="rn-12",
        at=bed.clock_time,
        args={"SILENT_FEED": {"seconds": 5}},
    )
    bed.monitor.apply_action(limits, 0)
    assert bed.wait(6).of("SILENT_FEED")


def test_vitals_come_once_a_second_with_a_trace_of_at_most_125_hz() -> None:
    bed = BedUnderTest().feed(messages(ecg(30, fs_hz=500.0), message_s=0.2))
    assert len(bed.vitals) == pytest.approx(30, abs=1)
    last = bed.vitals[-1]
    assert last.hr == pytest.approx(75, abs=3)
    assert last.wave is not None and last.wave.lead == "II" and last.wave.sampling_rate <= 125
    assert len(last.wave.mv) == pytest.approx(125, abs=1)


def test_every_document_carries_the_generation_of_the_worker() -> None:
    bed = BedUnderTest(generation=7).feed(messages(PAUSED)[:30])
    assert {a.generation for a in bed.alerts} == {7}
    assert bed.monitor.bed.generation == 7


def test_a_bed_in_standby_raises_nothing() -> None:
    bed = BedUnderTest().feed(messages(PAUSED)[:10])
    bed.monitor.apply_action(Action(id="s1", action="standby", bed_stream="icu-3/07", by="rn-12", at=bed.clock_time), 0)
    bed.feed(messages(PAUSED)[10:]).wait(20)
    assert bed.alerts == []


def test_a_site_may_set_its_own_limit_for_a_unit() -> None:
    settings = Settings(limits={"icu-3": {"SILENT_FEED": {"seconds": 20}}})
    bed = BedUnderTest(settings=settings).feed(messages(ecg(5))).wait(19)
    assert bed.of("SILENT_FEED") == []
    assert bed.wait(3).of("SILENT_FEED")
