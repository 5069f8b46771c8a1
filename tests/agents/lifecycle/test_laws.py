"""The laws of the alarm life cycle, held against random wards: any conditions, any order, any people, any restarts.

A random history is a set of episodes (code, onset, length), what people do at which second, and when workers start
again. It is played second by second through the bed document as JSON; `bedside.assert_lawful` checks every version:
no gap, one start, at most one end, and what is acknowledged or late never sounds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.lifecycle.condition import ConditionReport
from agents.lifecycle.groups import outranks, share_group
from agents.lifecycle.state_machine import step
from models.arrhythmia.codes import ALARM_GROUPS, CODES, LETHAL
from models.arrhythmia.episodes import END_AFTER_S
from streams.alert import Alert, Phase, State
from streams.document import ns_of_time
from tests.agents.bedside import Bedside, condition, ns

SECONDS = 240
CODES_TRIED = sorted({*(code for chain in ALARM_GROUPS for code in chain), "QT_LONG", "LEADS_OFF"})
EXAMPLES = 25


@dataclass(frozen=True)
class Truth:
    """One episode as it is: the rhythm tier reports it from a second after its onset until 5 s after its end."""

    code: str
    onset: float
    length: float

    @property
    def end(self) -> float:
        return self.onset + self.length

    def report(self, now: float) -> ConditionReport | None:
        """What the rhythm tier says of it at ``now``: nothing before it is detected and after it has said its end."""
        if CODES[self.code].instant:
            seen = self.onset + 1 <= now < self.onset + 21
            return condition(self.code, self.onset, self.onset + 1, detected=self.onset + 1) if seen else None
        over = now >= self.end + END_AFTER_S
        if now < self.onset + 1 or now > self.end + END_AFTER_S + 1:
            return None
        last = min(now, self.end)
        return condition(self.code, self.onset, last, detected=self.onset + 1, end=self.end if over else None)


@st.composite
def truths(draw: st.DrawFn) -> list[Truth]:
    """Episodes; those of one code lie more than the 5 s apart that the rhythm tier needs to end one."""
    free = dict.fromkeys(CODES_TRIED, 0.0)
    out = []
    for _ in range(draw(st.integers(1, 10))):
        code = draw(st.sampled_from(CODES_TRIED))
        onset = free[code] + draw(st.integers(1, 40))
        length = float(draw(st.integers(3, 60)))
        out.append(Truth(code, onset, length))
        free[code] = onset + (0.5 if CODES[code].instant else length + 6.5)
    return out


people = st.lists(
    st.tuples(
        st.integers(2, SECONDS),
        st.sampled_from([*["acknowledge"] * 3, "silence", "standby", "resume", "admit", "wrong"]),
        st.integers(0, 5),
    ),
    max_size=8,
)


def apply_action(bed: Bedside, now: float, action: str, pick: int) -> None:
    """Let a person act; which open alert is acknowledged follows from ``pick``."""
    if action == "acknowledge":
        known = bed.alerts()
        if known:
            bed.do(now, "acknowledge", known[-1 - pick % len(known)])
    elif action == "silence":
        bed.do(now, "silence", seconds=10 + 30 * pick)
    elif action == "admit":
        bed.do(now, "admit", patient=f"p-000{pick}")
    elif action == "wrong":
        bed.do(now, "limits", VFIB={"on": False})
    else:
        bed.do(now, action)


def play(history: list[Truth], doings: list[tuple[int, str, int]], until: int = SECONDS) -> Bedside:
    bed = Bedside()
    for now in range(1, until):
        bed.at(now, *(report for truth in history if (report := truth.report(now))))
        for second, action, pick in doings:
            if second == now:
                apply_action(bed, now, action, pick)
    return bed


@settings(max_examples=EXAMPLES, deadline=None)
@given(truths(), people)
def test_every_start_has_exactly_one_end_once_everything_is_over_and_acknowledged(
    history: list[Truth], doings: list[tuple[int, str, int]]
) -> None:
    last = int(max(truth.end for truth in history)) + 30
    bed = play(history, doings, max(SECONDS, last))
    bed.do(last, "resume")
    for alert in bed.alerts():
        if alert.state is not State.OFF:
            bed.do(last, "acknowledge", alert)
    bed.wait(last + 2)
    for alert in bed.alerts():
        phases = [version.phase for version in bed.versions(alert)]
        assert phases[0] is Phase.START
        assert phases.count(Phase.START) == 1
        assert phases.count(Phase.END) == 1
        assert alert.state is State.OFF


@settings(max_examples=EXAMPLES, deadline=None)
@given(truths(), people)
def test_no_lethal_condition_is_without_a_sounding_or_latched_alarm_unless_a_person_quieted_it(
    history: list[Truth], doings: list[tuple[int, str, int]]
) -> None:
    bed = Bedside()
    for now in range(1, SECONDS):
        bed.at(now, *(report for truth in history if (report := truth.report(now))))
        if bed.bed.status == "monitored" and bed.bed.audio_paused_until is None:
            for truth in history:
                if truth.code in LETHAL and truth.onset + 1 <= now <= truth.end:
                    assert_sounded(bed, truth.code, now)
        for second, action, pick in doings:
            if second == now:
                apply_action(bed, now, action, pick)


def assert_sounded(bed: Bedside, code: str, now: float) -> None:
    """A lethal condition that is present sounds, or a outranks one of its chain does, or a person acknowledged it."""
    open_alerts = [a for a in bed.alerts() if a.state is not State.OFF]
    speaking = [a for a in open_alerts if a.code == code or outranks(a.code, code)]
    assert any(a.sounding or a.acknowledged for a in speaking), f"{code} is present at {now} s and nothing sounds"
    assert any(a.code == code for a in open_alerts), f"{code} is present at {now} s and has no open alert"


@settings(max_examples=EXAMPLES, deadline=None)
@given(truths(), people)
def test_of_what_is_present_only_the_worst_of_a_chain_sounds_and_what_is_latched_gives_way_to_the_lethal(
    history: list[Truth], doings: list[tuple[int, str, int]]
) -> None:
    bed = Bedside()
    for now in range(1, SECONDS):
        bed.at(now, *(report for truth in history if (report := truth.report(now))))
        sounding = [a for a in bed.alerts() if a.sounding]
        for a in sounding:
            others = [b for b in sounding if b.id != a.id and share_group(a.code, b.code)]
            assert all(State.LATCHED in (a.state, b.state) and "PH" not in present_of(a, b) for b in others)
            present = [b for b in bed.alerts() if b.state in (State.ON, State.ACKNOWLEDGED) and b.end is None]
            if a.state is State.ON:
                assert not any(outranks(b.code, a.code) for b in present)
        for b in bed.alerts():
            above = next((a for a in bed.alerts() if a.id == b.superseded_by), None)
            assert b.superseded_by is None or (above is not None and above.state is not State.OFF)
        for second, action, pick in doings:
            if second == now:
                apply_action(bed, now, action, pick)


def present_of(*alerts: Alert) -> set[str]:
    """Priorities of those whose condition is present."""
    return {alert.priority for alert in alerts if alert.state is State.ON}


@settings(max_examples=EXAMPLES, deadline=None)
@given(truths(), people)
def test_nothing_acknowledged_sounds_again_and_lesser_alarms_keep_their_re_alarm_times(
    history: list[Truth], doings: list[tuple[int, str, int]]
) -> None:
    bed = play(history, doings)
    for alert in bed.alerts():
        quiet_since = None
        for version in bed.versions(alert):
            if version.acknowledged is not None:
                quiet_since = version.version
            assert quiet_since is None or not version.sounding
    begun = [a for a in bed.alerts() if a.sounded and a.priority in ("PM", "PL") and a.code in CODES]
    for later in begun:
        wait_s = {"PM": 180, "PL": 600}[later.priority]
        first_sound = next(v for v in bed.versions(later) if v.sounding)
        for earlier in begun:
            if earlier.code == later.code and earlier.patient == later.patient and earlier.detected < later.detected:
                apart_s = (first_sound.published - earlier.detected).total_seconds()
                assert apart_s >= wait_s


@settings(max_examples=EXAMPLES, deadline=None)
@given(truths(), st.randoms(use_true_random=False))
def test_the_order_of_reports_in_a_turn_does_not_matter(history: list[Truth], chance: random.Random) -> None:
    ordered, shuffled = Bedside(), Bedside()
    for now in range(1, SECONDS):
        reports = [report for truth in history if (report := truth.report(now))]
        ordered.at(now, *reports)
        chance.shuffle(reports)
        shuffled.at(now, *reports, *reports[:1])
    assert ordered.record == shuffled.record


@settings(max_examples=EXAMPLES, deadline=None)
@given(truths(), st.randoms(use_true_random=False))
def test_reports_that_arrive_up_to_three_seconds_late_and_out_of_order_raise_the_same_alerts(
    history: list[Truth], chance: random.Random
) -> None:
    due: dict[int, list[ConditionReport]] = {}
    over = int(max(truth.end for truth in history)) + 30
    for now in range(1, over):
        for truth in history:
            report = truth.report(now)
            if report is not None:
                due.setdefault(now + chance.randrange(4), []).append(report)
    late = Bedside()
    for now in range(1, over + 3):
        late.at(now, *due.get(now, []))
    on_time = play(history, [], over + 3)
    assert outcomes(late.alerts()) == outcomes(on_time.alerts())


def outcomes(alerts: list[Alert]) -> dict[str, object]:
    """What must not depend on arrival: which alerts there are, how urgent they are, and where they ended."""
    return {a.id: (a.code, a.onset, a.priority, a.late, a.state, a.end) for a in alerts}


@settings(max_examples=EXAMPLES, deadline=None)
@given(truths(), people, st.integers(1, SECONDS - 1), st.integers(1, 120))
@example([Truth("AFIB", 1, 3)], [(2, "admit", 0)], 2, 1)  # another patient in the second that is heard again
def test_a_worker_that_goes_on_from_any_bed_document_says_the_same_and_nothing_sounds_twice(
    history: list[Truth], doings: list[tuple[int, str, int]], died: int, replayed_s: int
) -> None:
    """The new worker hears again what the old one had applied, in the same seconds, and then goes on."""
    untouched = play(history, doings)
    bed = play(history, doings, died + 1)
    known = list(bed.record)
    for now in range(max(1, died - replayed_s), died + 1):
        clock = ns(died)
        reports = [report for truth in history if (report := truth.report(now))]
        after, alerts = step(bed.bed, clock, reports, rules=bed.rules)
        assert not [a for a in alerts if a.version == 1], "nothing is raised twice"
        assert not [a for a in alerts if a.sounding and not was_sounding(known, a)], "nothing sounds twice"
        bed.bed = after
        bed.record.extend(alerts)
    for now in range(died + 1, SECONDS):
        bed.at(now, *(report for truth in history if (report := truth.report(now))))
        for second, action, pick in doings:
            if second == now:
                apply_action(bed, now, action, pick)
    assert {a.id for a in bed.alerts()} == {a.id for a in untouched.alerts()}
    assert [(a.id, a.sounded, a.state) for a in bed.alerts()] == [
        (a.id, a.sounded, a.state) for a in untouched.alerts()
    ]


def was_sounding(known: list[Alert], alert: Alert) -> bool:
    return any(k.id == alert.id and k.sounding for k in known)


@settings(max_examples=EXAMPLES, deadline=None)
@given(truths(), st.integers(31, 600))
def test_a_burst_of_old_signal_is_recorded_and_never_sounds(history: list[Truth], backlog_s: int) -> None:
    """An outage: everything is analysed at one instant, long after it was over."""
    bed = Bedside()
    arrived = max(truth.end for truth in history) + backlog_s
    for now in range(1, int(max(truth.end for truth in history)) + 8):
        reports = [report for truth in history if (report := truth.report(now))]
        bed.at(arrived, *(replace(report, live=False) for report in reports))
    bed.wait(arrived + 60)
    assert {(a.code, ns_of_time(a.onset)) for a in bed.alerts()} == {(t.code, ns(t.onset)) for t in history}
    assert all(a.late and not a.sounded for a in bed.alerts())
    assert all(a.state is (State.LATCHED if a.priority == "PH" else State.OFF) for a in bed.alerts())
