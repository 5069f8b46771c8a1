"""Fault 27: after an outage everything of the last minutes is replayed in a burst. The old alarms are written into the
record, not one of them sounds, and what is so now sounds at once.
"""

from __future__ import annotations

import pytest

from streams.alert import State
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.agents.ward import BedUnderTest

OUTAGE_S = 240
STANDSTILLS = [(30.0 + 25 * k, 37.0 + 25 * k) for k in range(7)]  # an asystole every 25 s, the last ends at 187 s


def burst(silent: list[tuple[float, float]], length_s: int = OUTAGE_S) -> BedUnderTest:
    """A bed that is heard for 20 s, then not at all; ``length_s`` later everything comes within two seconds."""
    windows = messages(ecg(length_s, silent=silent))
    bed = BedUnderTest().feed(windows[:20])
    bed.clock.set_ns(T0_NS + length_s * S)
    for k, window in enumerate(windows[20:]):
        bed.offset += 1
        bed.clock.set_ns(T0_NS + length_s * S + k * 3_000_000)
        bed.outputs += bed.monitor.apply_window(window, bed.offset, bed.clock.now_ns())
    return bed


def test_old_asystoles_are_recorded_none_sounds_and_nobody_is_reminded() -> None:
    bed = burst(STANDSTILLS).wait(400)
    asystoles = {a.id: a for a in bed.of("ASYSTOLE")}
    assert len(asystoles) == len(STANDSTILLS)
    assert all(a.late and not a.sounded and a.state is State.LATCHED for a in asystoles.values())
    assert all(a.reminders == 0 and a.escalated is None for a in asystoles.values())
    assert not any(a.sounding for a in bed.alerts if a.kind == "physiological")


def test_what_still_holds_in_the_newest_signal_sounds_at_once() -> None:
    bed = burst([*STANDSTILLS, (225.0, 240.0)])
    bed.wait(2)
    last = bed.of("ASYSTOLE")[-1]
    assert (last.sounding, last.late) == (True, False)
    assert (last.published.timestamp() * S - T0_NS) / S - OUTAGE_S <= 6.0


@pytest.mark.parametrize("factor", [1, 5])
def test_the_record_is_the_same_however_fast_the_burst_comes(factor: int) -> None:
    windows = messages(ecg(120, silent=STANDSTILLS[:3]))
    bed = BedUnderTest()
    for k, window in enumerate(windows):
        bed.clock.set_ns(T0_NS + 220 * S + k * factor * 10_000_000)
        bed.outputs += bed.monitor.apply_window(window, k, bed.clock.now_ns())
        bed.outputs += bed.monitor.tick(caught_up=False)
    late = {a.id for a in bed.of("ASYSTOLE")}
    on_time = {a.id for a in BedUnderTest().feed(windows).of("ASYSTOLE")}
    assert late == on_time
    assert not any(a.sounded for a in bed.of("ASYSTOLE"))
