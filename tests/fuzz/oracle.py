"""What must hold of every run, and the violations of it, by kind.

The rules: the law of the product; a lethal episode on usable signal is raised within 10 s of signal; nothing of one bed
changes another; no exception leaves the processor; an illegal message is dead-lettered once, with its reason, and no
legal one is; vitals come once a second and tell the truth about verdicts; legal times and orders cause no lethal alarm
and no technical alarm of the analysis; work per record is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from streams.alert import Alert, State
from streams.bed import Bed, Vitals
from streams.document import ns_of_time
from tests.agents import law
from tests.agents.signals import T0_NS, S
from tests.fuzz.feed import GRID_HZ, LETHAL
from tests.fuzz.harness import CLEAN_SECONDS, TICK_S, TOPICS, Run, clean_alone, clean_records, documents
from tests.fuzz.schedule import BED_STREAM, CLEAN_STREAM, Built

ACCEPTED = {
    "ASYSTOLE": {"ASYSTOLE", "VFIB"},
    "VFIB": {"VFIB", "VTACH", "ASYSTOLE"},
    "VTACH": {"VTACH", "VFIB", "EXTREME_TACHY"},
    "EXTREME_BRADY": {"EXTREME_BRADY", "ASYSTOLE"},
    "EXTREME_TACHY": {"EXTREME_TACHY", "VTACH", "VFIB"},
}
SLACK_S = 1.6  # a message waits 1 s for a missing one; the clock of the beds ticks twice a second
AHEAD_S = 1.0  # a verdict may not lie in the future
WORK_S = 3.0  # CPU seconds of one record; it may release 64 messages that waited (16 s lost a session)
RECENT_S = 10.0
JUMP_S = 5.0  # docs/produce.md: a device clock that moves by more than this has jumped, or the device has paused
WITHOUT_S = 2.0  # a verdict on signal has samples this near before it
KINDS = (
    "worker end",
    "law",
    "episode not raised",
    "cross-bed",
    "illegal not dead-lettered",
    "dead-lettered twice",
    "legal dead-lettered",
    "vitals missing",
    "verdict in the future",
    "verdict without signal",
    "rhythm without a verdict",
    "false lethal alarm",
    "needless technical alarm",
    "work",
)


@dataclass(frozen=True)
class Violation:
    """A rule that did not hold: its kind, and what was seen."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def violations(built: Built, found: Run) -> list[Violation]:
    """Every violation of a run."""
    return list(_violations(built, found))


def raised(found: Run, code: str, by_ns: int, bed_stream: str = BED_STREAM, held_ns: int | None = None) -> bool:
    """An alarm that stands for the code was raised by a time, and had not ended before ``held_ns``, or else that time.

    The signal up to ``held_ns`` shows the condition. A later message may rightly end the alarm: one of another patient
    ends the alarms of the one before.
    """
    held_ns = by_ns if held_ns is None else held_ns
    stands: set[str] = set()
    for at_ns, value in found.of(bed_stream, TOPICS.alerts):
        alert = Alert.from_json(value)
        if alert.code not in ACCEPTED[code]:
            continue
        if alert.state is not State.OFF and at_ns <= by_ns:
            stands.add(alert.id)
        elif alert.state is State.OFF and at_ns <= held_ns:
            stands.discard(alert.id)
    return bool(stands)


def _violations(built: Built, found: Run) -> Iterator[Violation]:
    if found.ended:
        yield Violation("worker end", found.ended)
        return
    yield from _cross_bed(found)
    yield from _dead_letters(built, found)
    yield from _law_and_vitals(built, found)
    if built.must_raise and built.episode is not None:
        by_s = built.deadline_s + SLACK_S
        held_ns = T0_NS + round(built.deadline_s * S)
        if not raised(found, built.episode.code, T0_NS + round(by_s * S), held_ns=held_ns):
            text = f"{built.episode.code} from {built.episode.onset_s:.1f} s, not raised by {by_s:.1f} s"
            yield Violation("episode not raised", text)
    if built.schedule.timing_only:
        yield from _undisturbed(built, found)
    if found.slowest_s > WORK_S:
        yield Violation("work", f"record {found.slowest}: {found.slowest_s:.2f} s of CPU")


def _cross_bed(found: Run) -> Iterator[Violation]:
    alone = clean_alone(found.clean_start_s)
    stop_ns = min(found.stop_ns, alone.stop_ns) - S // 2
    before, after = documents(alone, CLEAN_STREAM, stop_ns), documents(found, CLEAN_STREAM, stop_ns)
    if before != after:
        k = next(
            (k for k, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
        )
        text = f"{len(after)} documents of the clean bed, {len(before)} alone; the first other one is number {k}"
        if k < min(len(before), len(after)):
            text += f": {_difference(before[k], after[k])}"
        yield Violation("cross-bed", text)
    by_ns = T0_NS + round((found.clean_start_s + CLEAN_SECONDS) * S)
    if by_ns <= found.stop_ns and not raised(found, "ASYSTOLE", by_ns, CLEAN_STREAM):
        yield Violation("cross-bed", "the asystole of the clean bed is not raised in time")


def _difference(before: tuple[Any, ...], after: tuple[Any, ...]) -> str:
    """Topic and the first field that is another."""
    if before[1] != after[1] or not isinstance(before[2], dict) or not isinstance(after[2], dict):
        return f"{before[1]} and {after[1]}, at {(after[0] - before[0]) / S:+.3f} s"
    key = next((k for k in before[2] if before[2][k] != after[2].get(k)), "")
    return f"{before[1]}: {key} {str(before[2].get(key))[:120]} {str(after[2].get(key))[:120]}"


def _dead_letters(built: Built, found: Run) -> Iterator[Violation]:
    expected = offsets(built, found.clean_start_s)
    for offset, rule in expected.items():
        reasons = found.rejected.get(offset, [])
        if rule and (not reasons or not all(reasons)):
            yield Violation("illegal not dead-lettered", rule)
        elif len(reasons) > 1:
            yield Violation("dead-lettered twice", f"{rule or 'legal'}: {reasons[1][:200]}")
        elif reasons and not rule:
            yield Violation("legal dead-lettered", reasons[0][:300])


def offsets(built: Built, start_s: float) -> dict[int, str]:
    """Offset of each record of the fuzzed bed in the partition, with the rule that it breaks."""
    order = [(r.append_s, 1, r.illegal) for r in built.records] + [
        (r.append_s, 0, None) for r in clean_records(start_s)
    ]
    order.sort(key=lambda e: (T0_NS + round(e[0] * S), e[1]))
    return {k: rule for k, (_, _, rule) in enumerate(order) if rule is not None}


def _law_and_vitals(built: Built, found: Run) -> Iterator[Violation]:
    written: list[tuple[int, law.Written]] = []
    for item in found.written:
        if item.message.key != BED_STREAM:
            continue
        if item.message.topic == TOPICS.beds:
            written.append((item.at_ns, Bed.from_json(item.message.value)))
        elif item.message.topic == TOPICS.vitals:
            written.append((item.at_ns, Vitals.from_json(item.message.value)))
    slack_s = max(1.0, built.longest_s) + 0.5
    for broken in law.violations(written, found.stop_ns, slack_s=slack_s):
        if broken.seconds < TICK_S + 0.1:
            continue  # an explanation has ended, and the watchdog acts with the next tick
        judged_at = "never" if broken.judged_at_ns is None else f"{(broken.judged_at_ns - T0_NS) / S:.1f} s"
        a, b = (broken.start_ns - T0_NS) / S, (broken.stop_ns - T0_NS) / S
        yield Violation("law", f"{a:.1f} to {b:.1f} s without a reason, last judged {judged_at}")
        break
    for start_ns, stop_ns in law.vitals_gaps(written, found.stop_ns):
        a, b = (start_ns - T0_NS) / S, (stop_ns - T0_NS) / S
        yield Violation("vitals missing", f"none from {a:.1f} to {b:.1f} s")
        break
    yield from _truth(built, written)


def _truth(built: Built, written: list[tuple[int, law.Written]]) -> Iterator[Violation]:
    for at_ns, document in written:
        if not isinstance(document, Vitals):
            continue
        judged_ns = None if document.judged_at is None else ns_of_time(document.judged_at)
        if judged_ns is not None and judged_ns > at_ns + AHEAD_S * S:
            text = f"judged_at {(judged_ns - at_ns) / S:.1f} s ahead at {(at_ns - T0_NS) / S:.1f} s"
            yield Violation("verdict in the future", text)
            return
        if judged_ns is not None and built.present is not None:
            judged_s = (judged_ns - T0_NS) / S
            a, b = round((judged_s - WITHOUT_S) * GRID_HZ), round((judged_s + 0.1) * GRID_HZ)
            if b <= built.present.size and not built.present[max(0, a) : b].any():
                yield Violation("verdict without signal", f"judged_at {judged_s:.1f} s: no sample for {WITHOUT_S:g} s")
                return
        stale = judged_ns is None or at_ns - judged_ns > (RECENT_S + 1.5) * S
        if stale and document.rhythm is not None:
            yield Violation("rhythm without a verdict", f"{document.rhythm!r} at {(at_ns - T0_NS) / S:.1f} s")
            return


def _states_a_pause(built: Built) -> bool:
    """Device and gateway times both state a pause that was none: by docs/produce.md the samples of it are missing.

    Two clocks that are wrong together say what a device that pauses says, and append times cannot tell: messages of a
    backlog come at once.
    """
    in_order = sorted(built.packets, key=lambda p: (p.epoch, p.sequence))
    for a, b in pairwise(in_order):
        own_s = b.start_s - a.start_s
        by_device_s, by_gateway_s = b.device_s - a.device_s - own_s, b.gateway_s - a.gateway_s - own_s
        if by_device_s > JUMP_S and abs(by_device_s - by_gateway_s) <= JUMP_S:
            return True
    return False


def _undisturbed(built: Built, found: Run) -> Iterator[Violation]:
    onset_s = built.episode.onset_s if built.episode else float("inf")
    stalls = [b.append_s - a.append_s for a, b in zip(built.packets, built.packets[1:], strict=False)]
    late = max([p.append_s - p.start_s - p.seconds for p in built.packets] + stalls, default=0.0)
    end_s = max((p.append_s for p in built.packets), default=0.0)
    for at_ns, value in found.of(BED_STREAM, TOPICS.alerts):
        alert = Alert.from_json(value)
        at_s = (at_ns - T0_NS) / S
        if alert.version != 1:
            continue
        if alert.code in LETHAL and at_s < onset_s:
            yield Violation("false lethal alarm", f"{alert.code} at {at_s:.1f} s")
        in_time = at_s < end_s and late < 2.0 and built.longest_s <= 2.0
        if alert.code == "CANNOT_ANALYZE" and in_time and not _states_a_pause(built):
            yield Violation("needless technical alarm", f"{alert.code} at {at_s:.1f} s")
