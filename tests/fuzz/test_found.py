"""Faults that the fuzzer found, each as the smallest schedule that showed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.campaign import Fuzzer
from tests.fuzz.distortion import Distortion
from tests.fuzz.illegal_messages import Illegal
from tests.fuzz.message_distortions import Flood, LeadsAbsent, Lost, Restart, SecondProducer, Sequence
from tests.fuzz.schedule import Schedule
from tests.fuzz.signal_distortions import (
    BadLead,
    Gain,
    LeadSet,
    LeadsOff,
    Mains,
    Missing,
    NoiseSpan,
    Pacing,
    SamplingRate,
    Saturation,
)
from tests.fuzz.timing_distortions import Arrival, DeviceClock, GatewayClock, MessageLengths, RateByMessage


@pytest.fixture(scope="module")
def fuzzer() -> Fuzzer:
    return Fuzzer(None)


def assert_nothing_is_violated(fuzzer: Fuzzer, *distortions: Distortion, source: str = "synthetic ASYSTOLE") -> bool:
    """Run the schedule; True where the oracle demanded the episode."""
    schedule = Schedule(source, before_s=14.0, after_s=13.0, distortions=distortions)
    built, _, wrong = fuzzer.run(schedule)
    assert not wrong, f"{schedule}: {'; '.join(map(str, wrong))}"
    return built.must_raise


@pytest.mark.parametrize("declared_hz", [249.98, 250.02, 499.7, 500.04])
def test_a_rate_near_250_or_500_hz_ended_the_worker(fuzzer: Fuzzer, declared_hz: float) -> None:
    fs_hz = 250.0 if declared_hz < 300 else 500.0
    assert assert_nothing_is_violated(fuzzer, SamplingRate(fs_hz=fs_hz, declared_hz=declared_hz))


def test_a_rate_that_varies_by_message_restarted_the_analysis_each_time(fuzzer: Fuzzer) -> None:
    assert assert_nothing_is_violated(fuzzer, RateByMessage(seed=4, spread=2e-4))


def test_a_second_after_the_last_message_no_vitals_were_written(fuzzer: Fuzzer) -> None:
    assert_nothing_is_violated(fuzzer, Lost(kind="rest", start_s=8.0))


@pytest.mark.parametrize("kind", ["frozen", "random"])
def test_a_device_clock_without_sense_left_the_bed_unjudged_without_an_alarm(fuzzer: Fuzzer, kind: str) -> None:
    assert_nothing_is_violated(fuzzer, DeviceClock(seed=2, kind=kind, size=42600.0, at_s=5.0))


def test_gateway_times_after_the_present_dated_verdicts_into_the_future(fuzzer: Fuzzer) -> None:
    assert assert_nothing_is_violated(fuzzer, GatewayClock(kind="offset", size=3600.0))
    assert assert_nothing_is_violated(fuzzer, GatewayClock(kind="2199"))


def test_a_gateway_clock_that_is_slow_raised_cannot_analyze_on_a_clean_bed(fuzzer: Fuzzer) -> None:
    assert assert_nothing_is_violated(fuzzer, GatewayClock(kind="offset", size=-42.9))
    assert assert_nothing_is_violated(fuzzer, GatewayClock(kind="frozen"))


def test_a_gateway_clock_of_1970_lost_the_alarm_with_its_strip(fuzzer: Fuzzer) -> None:
    assert assert_nothing_is_violated(fuzzer, GatewayClock(kind="1970"))


@pytest.mark.parametrize("kind", ["65 leads", "600 leads"])
def test_too_many_leads_under_the_key_of_another_bed_changed_that_bed(fuzzer: Fuzzer, kind: str) -> None:
    assert_nothing_is_violated(fuzzer, Illegal(kind=kind, at_s=4.0, count=2, target="other"))


@pytest.mark.parametrize("epoch", [-5, 0, 5])
def test_a_second_producer_left_the_bed_unjudged_without_an_alarm(fuzzer: Fuzzer, epoch: int) -> None:
    assert_nothing_is_violated(fuzzer, SecondProducer(epoch=epoch, start_s=2.0, stop_s=40.0))


def test_an_epoch_in_each_message_left_the_bed_unjudged_without_an_alarm(fuzzer: Fuzzer) -> None:
    assert_nothing_is_violated(fuzzer, Restart(kind="each message", at_s=3.0))


@pytest.mark.parametrize("kind", ["to the end", "second sample"])
def test_messages_without_samples_raised_no_alarm(fuzzer: Fuzzer, kind: str) -> None:
    assert_nothing_is_violated(fuzzer, Missing(kind=kind, start_s=5.0, stop_s=27.0))


def test_every_second_message_lost_raised_no_alarm(fuzzer: Fuzzer) -> None:
    assert_nothing_is_violated(fuzzer, Lost(kind="second"))


def test_a_lead_that_comes_and_goes_hid_the_asystole(fuzzer: Fuzzer) -> None:
    assert assert_nothing_is_violated(fuzzer, LeadsAbsent(seed=3, p=0.4, which=1, stop_s=27.0))


@pytest.mark.parametrize(("kind", "size"), [("truncated", 1.0), ("jittered", 0.3), ("drifting", 0.005)])
def test_an_unsteady_device_clock_hid_the_asystole(fuzzer: Fuzzer, kind: str, size: float) -> None:
    lengths = MessageLengths(seconds=(0.2,))
    assert assert_nothing_is_violated(fuzzer, lengths, DeviceClock(seed=6, kind=kind, size=size))


@pytest.mark.parametrize("seed", [196061610, 1])
def test_motion_of_one_electrode_hid_the_asystole_of_the_other_lead(fuzzer: Fuzzer, seed: int) -> None:
    motion = NoiseSpan(seed=seed, kind="motion", mv=0.786, start_s=1.4, stop_s=27.0, leads=(1,))
    assert assert_nothing_is_violated(fuzzer, motion, SamplingRate(fs_hz=389.0, declared_hz=389.0))


def test_pulses_of_one_sample_at_a_low_rate_hid_the_asystole_of_the_other_lead(fuzzer: Fuzzer) -> None:
    rate = SamplingRate(fs_hz=92.0, declared_hz=92.0)
    assert assert_nothing_is_violated(fuzzer, rate, Pacing(mv=1.2, leads=(0,)), BadLead(kind="flat"))


@pytest.mark.parametrize("hz", [50.0, 60.0])
def test_mains_on_both_leads_hid_the_asystole(fuzzer: Fuzzer, hz: float) -> None:
    assert assert_nothing_is_violated(fuzzer, Mains(hz=hz, mv=0.4))


def test_a_detached_electrode_that_came_back_was_a_beat_among_slow_ones(fuzzer: Fuzzer) -> None:
    off = LeadsOff(seed=2, start_s=1.9, stop_s=18.7, leads=(0,))
    assert assert_nothing_is_violated(fuzzer, off, source="synthetic EXTREME_BRADY")


def test_the_alarms_of_a_patient_that_another_one_follows_end(fuzzer: Fuzzer) -> None:
    assert assert_nothing_is_violated(fuzzer, Restart(kind="patient", at_s=24.1))


def test_two_clocks_that_are_wrong_together_state_a_pause(fuzzer: Fuzzer) -> None:
    clocks = DeviceClock(seed=228495363, kind="random", size=28.8, at_s=20.7), GatewayClock(kind="device")
    assert_nothing_is_violated(fuzzer, *clocks, MessageLengths(seconds=(0.2,)))


def test_a_gain_of_a_thousandth_raised_a_false_asystole(fuzzer: Fuzzer) -> None:
    _, found, wrong = fuzzer.run(Schedule("synthetic rhythm", 14.0, 13.0, 0.0, (Gain(factor=0.001),)))
    assert not wrong
    assert not [w for w in found.written if b"ASYSTOLE" in w.message.value and w.message.key == "icu-3/01"]


def test_a_stall_of_nine_seconds_is_explained_until_the_signal_is_judged_again(fuzzer: Fuzzer) -> None:
    stall = Arrival(kind="stall", at_s=10.0, size_s=8.9)
    assert_nothing_is_violated(fuzzer, stall, GatewayClock(kind="frozen"))


def test_sixty_leads_are_judged_like_one(fuzzer: Fuzzer) -> None:
    names = tuple(f"L{k}" for k in range(60))
    assert assert_nothing_is_violated(fuzzer, LeadSet(names=names), BadLead(kind="rail", first=True))


ON_RECORDINGS = [
    Schedule(  # pulses of one sample at a low rate in a lead that comes back during the tachycardia
        "VTACH 215",
        before_s=14.0,
        after_s=15.0,
        distortions=(
            BadLead(seed=671505420, kind="flat", first=True),
            Pacing(seed=1047497295, mv=1.2, paced_flag=True, leads=(0, 1)),
            Missing(seed=676332799, kind="span", start_s=4.0, stop_s=14.0, leads=(0, 1)),
            SamplingRate(fs_hz=92.0, declared_hz=92.0),
        ),
    ),
    Schedule(  # large pulses in one lead, and 205 messages more at once
        "EXTREME_BRADY 119",
        before_s=16.0,
        after_s=13.0,
        distortions=(
            Flood(seed=925482462, kind="same", at_s=13.4, count=205),
            Pacing(seed=1983281096, mv=15.8, leads=(0,)),
        ),
    ),
    Schedule(  # a lead at a rail had half of the votes against fibrillation
        "VFIB 119+cu24",
        before_s=14.0,
        after_s=12.0,
        distortions=(
            LeadSet(seed=82949490, names=("lead 7",)),
            BadLead(seed=1053299825, kind="rail", first=True),
        ),
    ),
    Schedule(
        "VFIB 220+cu11",
        before_s=13.0,
        after_s=15.0,
        distortions=(Saturation(seed=592614795, rail_mv=-5.0, start_s=6.0, stop_s=22.7, leads=(1,)),),
    ),
    Schedule(  # the step back from the rail was a beat among slow ones
        "EXTREME_BRADY 220",
        before_s=17.0,
        after_s=15.0,
        distortions=(
            Mains(seed=1254890642, hz=59.73, mv=0.0721, leads=(0,)),
            Saturation(seed=9340591, rail_mv=5.0, start_s=9.4, stop_s=21.7, leads=(1,)),
        ),
    ),
    Schedule(  # 64 messages at once, each with conditions that no strip shows: nine seconds for one message
        "VTACH 208",
        before_s=11.0,
        after_s=15.0,
        distortions=(
            Flood(seed=1020060472, kind="numbers", at_s=18.8, count=77),
            LeadSet(seed=2081300116, names=("I", "II", "V")),
            Sequence(seed=997720629, kind="doubled", at_s=4.5),
        ),
    ),
]


@pytest.mark.data
@pytest.mark.parametrize("schedule", ON_RECORDINGS, ids=lambda schedule: schedule.source)
def test_no_rule_is_violated_on_recordings(data_home: Path, schedule: Schedule) -> None:
    _, _, wrong = Fuzzer(data_home, icu=False).run(schedule)
    assert not wrong, "; ".join(map(str, wrong))


def test_strips_that_showed_nothing_were_measured_again_at_each_update_after_a_backlog(fuzzer: Fuzzer) -> None:
    assert_nothing_is_violated(
        fuzzer, Flood(seed=448892004, kind="numbers", at_s=3.5, count=166), SamplingRate(fs_hz=939.0, declared_hz=939.0)
    )
