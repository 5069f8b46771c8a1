"""One bed: windows, actions, interpretations and time in; documents out. Pure, the clock passed in.

Message reassembly and rhythm tier report the conditions, the life cycle makes alerts of them, and each step gives one
`Outputs`, to be delivered in order before the next. The state that survives a worker is the bed document; the state of
the signal is restored from the windows (``replay``).

Conditions in signal that is older than `OLD_S` are recorded, and sound only when no newer signal of the bed follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agents.clock import Clock
from agents.lifecycle import actions, state_machine
from agents.lifecycle.condition import ConditionReport
from agents.lifecycle.outputs import Outputs, Strip
from agents.lifecycle.rules import Rules
from agents.lifecycle.state_machine import ApplyResult
from agents.monitor import encoder_flags, watchdog
from agents.monitor.analysis import Analysis, Step
from agents.monitor.feed_problems import FeedProblems, open_alert, silence_ended, silence_reports
from agents.monitor.no_verdict import citation_of_no_verdict, reason_of
from agents.monitor.reassembly import MessageReassembly
from agents.monitor.reporting import Reporter
from agents.monitor.vitals import VitalsMaker
from agents.settings import Settings
from models.arrhythmia.codes import CODES
from models.arrhythmia.tier import RhythmBaseline
from models.ecg import Ecg
from models.leads import independent_leads
from streams.alert import Alert, EncoderInfo, InterpretationMessage
from streams.bed import SYSTEM, VERDICT_S, Action, Baseline, Bed, BedChange, Skipped, Status
from streams.document import time_of_ns
from streams.topics import Topics
from streams.wire import EcgWindow

S = 1_000_000_000
OLD_S = 10.0  # signal that is older than this may not be the newest of the bed
ENCODER_S = 10.0  # the encoder's window
ENCODER_LEADS = 8  # independent leads that it needs: it never saw fewer


def new_bed(bed_stream: str, unit: str, bed: str, since_ns: int, patient: str = "") -> Bed:
    """The document of a bed whose first message has arrived: it is monitored."""
    return Bed(bed_stream=bed_stream, unit=unit, bed=bed, patient=patient, since=time_of_ns(since_ns))


@dataclass(frozen=True, slots=True)
class Saved:
    """A bed before a step: its document, and whether Kafka has one."""

    bed: Bed
    stored: bool


class BedMonitor:
    """One bed of a monitor.

    Parameters
    ----------
    bed : Bed
        As it was written last, or as `new_bed` makes it.
    settings : Settings
        Of the site.
    clock : Clock
    encoder : EncoderInfo or None
        For the provenance.
    generation : int
        Of the consumer group: stands in every document.

    Attributes
    ----------
    bed : Bed
        The document as it stands.
    offset : int
        Of the last window that was taken.
    """

    def __init__(
        self, bed: Bed, settings: Settings, clock: Clock, encoder: EncoderInfo | None = None, generation: int = 0
    ) -> None:
        self.bed = bed.changed(generation=generation)
        self._settings = settings
        self._clock = clock
        self._topics = Topics(settings.topic_prefix, settings.partitions)
        self._stored = bool(bed.applied)  # Kafka has a document of this bed
        self._rules = self._rules_of(bed)
        self._reporter = Reporter(settings.strip_s, encoder)
        self._vitals = VitalsMaker(bed.bed_stream)
        self._problems = FeedProblems()
        self._waiting_from: int | None = None  # offset of the first message that waits for a missing one
        self._signal_is_old = False  # the newest signal looked old; whether it is the newest shows when nothing follows
        self._encoded_s = 0
        self._encoder_history = encoder_flags.EncoderHistory()
        self.offset = bed.applied.get(self._topics.windows, -1)
        self._failed = False
        self._judged_at_failure_ns: int | None = None
        resumed = self._topics.windows in bed.applied
        self.live = self._analysis(_ns_of_seconds(bed.clock_offset_s) if resumed else None)
        self.backfill: Analysis | None = None

    def set_generation(self, generation: int) -> None:
        """The worker holds the partition in another generation of the consumer group."""
        self.bed = self.bed.changed(generation=generation)

    # ---- what comes in -------------------------------------------------------------------------------------------

    def apply_window(self, window: EcgWindow, offset: int, append_ns: int, *, replay: bool = False) -> list[Outputs]:
        """Take one window.

        ``replay``, or an offset that is not after what was applied: the signal state is brought up, nothing comes out.
        """
        if not replay and offset <= self.offset and offset > self.bed.applied.get(self._topics.windows, -1):
            return []  # delivered twice
        replay = replay or offset <= self.bed.applied.get(self._topics.windows, -1)
        self.offset = max(self.offset, offset)
        steps, problems = self.live.add(window, append_ns)
        self._problems.take(problems, append_ns)
        if replay:
            return []
        self._mark_waiting(offset)
        outputs = self._identify_patient()
        first = silence_ended(self.bed, append_ns, self._reporter.provenance())
        outputs += self._transitions(steps, first, self._moved_bed(window))
        if steps and self.bed.status is Status.MONITORED:
            outputs += self._vitals_by_the_clock() if self._signal_is_old else self._vitals_and_encoder_window()
        return outputs

    def tick(self, *, caught_up: bool) -> list[Outputs]:
        """Time has passed: `tick_signal`, then `tick_watch`. To be called twice a second."""
        return self.tick_signal(caught_up=caught_up) + self.tick_watch(watch=caught_up)

    def tick_signal(self, *, caught_up: bool) -> list[Outputs]:
        """Release messages that waited, report a silent feed, and let time pass for the alerts.

        ``caught_up``: the partition is read to its end.
        """
        now_ns = self._clock.now_ns()
        outputs: list[Outputs] = []
        reports: list[ConditionReport] = []
        provenance = self._reporter.provenance()
        if caught_up:
            steps, problems = self.live.release(now_ns)
            self._problems.take(problems, now_ns)
            self._mark_waiting(None)
            outputs += self._transitions(steps) if steps else []
            reassembly = self.live.reassembly
            limit_s = self.live.limits["SILENT_FEED"].seconds or 0.0
            reports += silence_reports(
                self.bed, reassembly.last_append_ns, reassembly.message_s, limit_s, now_ns, provenance
            )
            if not reports and reassembly.last_append_ns is not None:
                reports += silence_ended(self.bed, reassembly.last_append_ns, provenance)
            still = (
                reassembly.last_append_ns is not None
                and now_ns - reassembly.last_append_ns >= reassembly.message_s / 2 * S
            )
            if self._signal_is_old and still and self.live.last is not None:
                self._signal_is_old = False  # nothing newer came: this is how the bed is
                on = [e for e in self.live.last.rhythm.episodes if e.end is None]
                reports += self._reporter.reports(self.bed, self.live, on, live=True)
            if reassembly.last_append_ns is not None:
                reports += self._problems.reports(self.bed, now_ns, provenance)
        return outputs + self._transition(reports)

    def tick_watch(self, *, watch: bool = True) -> list[Outputs]:
        """Let the watchdog compare the newest verdict with the clock, and write the vitals of a second without signal.

        ``watch`` is False for the first seconds of a worker that has taken the partition over and reads its backlog.
        """
        now_ns = self._clock.now_ns()
        outputs = self._watch(now_ns) if watch else []
        return outputs + (self._vitals_by_the_clock() if self.watched else [])

    def _watch(self, now_ns: int) -> list[Outputs]:
        live = self.live
        # The promise of 10 s holds for messages of up to a second; the verdict of a longer one comes with its end.
        limit_s = live.limits["CANNOT_ANALYZE"].seconds + max(0.0, live.reassembly.message_s - 1.0)
        report = watchdog.watch(self.bed, live.judged_at_ns, limit_s, now_ns, self._reporter.provenance())
        if report is None:
            return []
        if report.end_ns is None and open_alert(self.bed, watchdog.CODE) is None:
            reason = reason_of(live, limit_s, now_ns, failed=self.failed)
            citation = citation_of_no_verdict(live, reason, report.onset_ns, now_ns, limit_s)
            report = replace(report, citations=(citation,), leads=tuple(citation.leads))
        return self._transition([report])

    @property
    def watched(self) -> bool:
        """A monitored bed: it has a verdict, or an alarm says why not."""
        return self.bed.status is Status.MONITORED and self.bed.bed_stream != SYSTEM

    def judged(self, now_ns: int) -> bool:
        """There is a verdict on signal of the last 10 s, or the bed is not monitored for so long."""
        return now_ns - watchdog.missing_since_ns(self.bed, self.live.judged_at_ns) <= VERDICT_S * S

    @property
    def failed(self) -> bool:
        """An exception ended the analysis, and there is no verdict since."""
        return self._failed and self.live.judged_at_ns == self._judged_at_failure_ns

    def apply_action(self, action: Action, offset: int) -> tuple[list[Outputs], ApplyResult]:
        """Apply a person's action, once."""
        before = self.bed
        bed, alerts, outcome = actions.apply_action(before, action, self._clock.now_ns(), rules=self._rules)
        outputs = self._write(bed, alerts, {self._topics.actions: offset})
        self._update_analysis(before)
        return outputs, outcome

    def apply_interpretation(self, message: InterpretationMessage, offset: int) -> tuple[list[Outputs], ApplyResult]:
        """Attach an interpretation to its alert, once."""
        bed, alerts, outcome = state_machine.apply_interpretation(
            self.bed, message, self._clock.now_ns(), rules=self._rules
        )
        return self._write(bed, alerts, {self._topics.interpretations: offset}), outcome

    def apply_reports(self, reports: Sequence[ConditionReport], applied: dict[str, int] | None = None) -> list[Outputs]:
        """Apply reports from outside the rhythm tier: encoder flags, missing services."""
        return self._transition(reports, applied=applied)

    def apply_encoder_result(self, ecg: Ecg, findings: Mapping[str, float], *, trained: bool) -> list[Outputs]:
        """Apply the findings of the encoder in ten seconds of this bed."""
        stop_ns = ecg.start_ns + round(ecg.n_samples / ecg.fs_hz * 1e9)
        seen = encoder_flags.EncoderResult(findings, ecg.start_ns, stop_ns, trained)
        self._encoder_history, raised = encoder_flags.decide_flag(
            self.bed, seen, self._encoder_history, self._clock.now_ns()
        )
        report = None if raised is None else self._reporter.of_the_encoder(self.bed, self.live, raised)
        if raised is None or report is None:
            return []
        outputs = self._transition([report])
        for output in outputs:
            output.flag_reason = raised.reason
        return outputs

    def supports(self, code: str) -> tuple[str, ...]:
        """Steady findings of the encoder that an alarm covers."""
        return encoder_flags.supports(self._encoder_history, code)

    def strips_at_hand(self) -> list[Strip]:
        """Strips that may have been lost with the worker before, as far as the signal is at hand."""
        return self._reporter.strips_at_hand(self.bed, self.live)

    def follow(self, bed: Bed) -> None:
        """Take the newer document of the worker that holds the bed; the analysis goes on, with its limits."""
        before = self.bed
        self.bed, self._stored = bed.changed(generation=before.generation), True
        self._rules = self._rules_of(bed)
        self.offset = max(self.offset, bed.applied.get(self._topics.windows, -1))
        self._update_analysis(before)

    # ---- isolation -----------------------------------------------------------------------------------------------

    def saved(self) -> Saved:
        """The bed as it is before a step."""
        return Saved(self.bed, self._stored)

    def check(self) -> None:
        """Raise what steps on this document would raise."""
        unknown = [alert.code for alert in self.bed.alerts if alert.code not in CODES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no alarm code of this version")
        state_machine.tick(self.bed, self._clock.now_ns(), rules=self._rules)

    def roll_back(self, saved: Saved) -> None:
        """An exception ended a step: the document is the one before it, and nothing of the step is written."""
        self.bed, self._stored = saved.bed, saved.stored
        self._rules = self._rules_of(saved.bed)
        self._reporter.strips(())  # discards the strips of the step
        self.live.limits = self._rules.checked_limits(saved.bed.limits)

    def restart_analysis(self, offset: int = -1, append_ns: int | None = None) -> None:
        """Start the analysis anew, after an exception in it.

        The message at ``offset``, appended at ``append_ns``, counts as applied: the feed is not silent.
        """
        if not self.failed:
            self._failed, self._judged_at_failure_ns = True, self.live.judged_at_ns
        self.offset = max(self.offset, offset)
        self.live = self._next_analysis(self.live)
        if append_ns is not None:
            self.live.reassembly.last_append_ns = max(self.live.reassembly.last_append_ns or append_ns, append_ns)
        self._waiting_from = None
        self._signal_is_old = False

    def continue_from(self, before: BedMonitor) -> None:
        """Take the place of another monitor of this bed, whose document was repaired."""
        self.offset = max(self.offset, before.offset)
        self._judged_at_failure_ns = before._judged_at_failure_ns
        self._failed = before._failed
        self.live = self._next_analysis(before.live)

    def restart_backfill(self) -> None:
        """Start the analysis of the skipped windows anew, after an exception in it."""
        self.backfill = None

    def forget_encoder_results(self) -> None:
        """Start the history of the encoder results anew, after an exception in it."""
        self._encoder_history = encoder_flags.EncoderHistory()

    # ---- latest first ----------------------------------------------------------------------------------------------

    def skip_to_latest(self, first: int, last: int) -> list[Outputs]:
        """Record that the windows ``first`` to ``last`` are skipped; the analysis so far is kept for their backfill."""
        self.backfill = self.backfill or self.live
        self.live = self._next_analysis(self.live)
        self.offset = max(self.offset, last)
        skipped = joined([*self.bed.skipped, Skipped(first=first, last=last)])
        return self._write(self.bed.changed(skipped=skipped), [], {self._topics.windows: last})

    def reclaim_tail(self, first: int) -> list[Outputs]:
        """Take the windows from ``first`` on, the tail of the skipped range, out of it: they are processed live."""
        self.offset = first - 1
        skipped = [r.changed(last=min(r.last, first - 1)) for r in self.bed.skipped if r.first < first]
        return self._write(self.bed.changed(skipped=skipped), [], {self._topics.windows: first - 1})

    def backfill_window(self, window: EcgWindow, append_ns: int, *, replay: bool = False) -> list[Outputs]:
        """Backfill one skipped window: its conditions are recorded when their end is known."""
        if self.backfill is None:
            self.backfill = self._analysis(_ns_of_seconds(self.bed.clock_offset_s))
        steps, _ = self.backfill.add(window, append_ns)
        if replay:
            return []
        steps_outputs = [
            self._transition(self._reporter.reports(self.bed, self.backfill, step.rhythm.episodes, live=False))
            for step in steps
        ]
        return [output for outputs in steps_outputs for output in outputs]

    def record_backfilled(self, up_to: int) -> list[Outputs]:
        """The windows up to this offset have been analysed."""
        skipped = [r.changed(first=max(r.first, up_to + 1)) for r in self.bed.skipped if r.last > up_to]
        if not skipped:
            self.backfill = None
        return [] if skipped == self.bed.skipped else self._write(self.bed.changed(skipped=skipped), [], {})

    # ---- transitions ---------------------------------------------------------------------------------------------

    def _transitions(
        self, steps: Sequence[Step], first: Sequence[ConditionReport] = (), placed: Bed | None = None
    ) -> list[Outputs]:
        """One transition for each analysis step; reports of the message itself go with the first."""
        outputs: list[Outputs] = []
        now_ns, live = self._clock.now_ns(), self.live
        reports, last_append_ns = list(first), live.reassembly.last_append_ns or now_ns
        for k, step in enumerate(steps):
            self._signal_is_old = live.age_s(now_ns) > OLD_S
            provenance = self._reporter.provenance()
            reports += self._problems.reports(self.bed, last_append_ns, provenance, live=not self._signal_is_old)
            reports += self._reporter.reports(self.bed, live, step.rhythm.episodes, live=not self._signal_is_old)
            reports += self._reporter.cleared(self.bed, live, step.rhythm.episodes)
            applied = self._applied(self.offset if k == len(steps) - 1 else self.offset - 1)
            outputs += self._transition(reports, self._with_baseline(placed or self.bed, step), applied)
            reports, placed = [], None
        if reports or placed is not None:
            outputs += self._transition(reports, placed, self._applied(self.offset))
        return outputs

    def _transition(
        self, reports: Sequence[ConditionReport], bed: Bed | None = None, applied: dict[str, int] | None = None
    ) -> list[Outputs]:
        """One transition of the life cycle, on ``bed`` where the message changed it."""
        after, alerts = state_machine.step(bed or self.bed, self._clock.now_ns(), reports, rules=self._rules)
        return self._write(after, alerts, self._applied(self.offset) if applied is None else applied)

    def _write(self, bed: Bed, alerts: list[Alert], applied: dict[str, int]) -> list[Outputs]:
        """The documents of a transition; none where nothing changed."""
        if bed is self.bed and self._stored:
            return []
        self._stored = True
        self.bed = bed.changed(applied={**bed.applied, **applied})
        return [Outputs(bed=self.bed, strips=self._reporter.strips(alerts), alerts=alerts)]

    def _applied(self, offset: int) -> dict[str, int]:
        """Applied offset of the windows: all but those that wait for a missing one."""
        if self._waiting_from is not None:
            offset = min(offset, self._waiting_from - 1)
        return {self._topics.windows: offset} if offset >= 0 else {}

    def _mark_waiting(self, offset: int | None) -> None:
        if not self.live.reassembly.waiting:
            self._waiting_from = None
        elif self._waiting_from is None:
            self._waiting_from = offset

    # ---- what the bed is -----------------------------------------------------------------------------------------

    def _identify_patient(self) -> list[Outputs]:
        """A pseudonym that came with a new epoch."""
        before = self.bed
        patient = self.live.reassembly.patient
        bed, alerts = state_machine.identify(before, patient, self._clock.now_ns(), rules=self._rules)
        if bed is before:
            return []
        outputs = self._write(bed, alerts, self._applied(self.offset - 1))
        self._update_analysis(before)
        return outputs

    def _moved_bed(self, window: EcgWindow) -> Bed | None:
        """The bed where the window shows it at another place, or with another clock; None where nothing changed."""
        bed = self.bed
        if (window.unit, window.bed) != (bed.unit, bed.bed):
            moved = BedChange(
                what=f"moved to {window.unit} {window.bed}", at=time_of_ns(self._clock.now_ns()), by="telemetry"
            )
            bed = bed.changed(unit=window.unit, bed=window.bed, changes=[*bed.changes, moved])
        offset_ns = self.live.reassembly.clock_offset_ns or 0
        if offset_ns != _ns_of_seconds(bed.clock_offset_s):
            bed = bed.changed(clock_offset_s=offset_ns / S)
        if bed is self.bed and self._stored:
            return None
        self._rules = self._rules_of(bed)
        return bed

    def _with_baseline(self, bed: Bed, step: Step) -> Bed:
        found = step.rhythm.baseline
        if found is None or bed.baseline is not None:
            return bed
        since = time_of_ns(self.live.buffer.instant_ns(step.rhythm.now))
        return bed.changed(
            baseline=Baseline(st_mv=dict(found.st_mv), qrs_ms=found.qrs_ms, pr_ms=found.pr_ms, since=since)
        )

    def _update_analysis(self, before: Bed) -> None:
        """Bring the analysis in line with a bed that a person or a new patient changed."""
        bed = self.bed
        if bed.limits != before.limits:
            self.live.limits = self._rules.checked_limits(bed.limits)
        if bed.baseline is None and before.baseline is not None:
            self.live.baseline = None
        self.live.reassembly.patient = bed.patient

    def _vitals_by_the_clock(self) -> list[Outputs]:
        vitals = self._vitals.without_signal(self.live, self._clock.now_ns(), says_why=watchdog.says_why(self.bed))
        return [] if vitals is None else [Outputs(vitals=[vitals])]

    def _vitals_and_encoder_window(self) -> list[Outputs]:
        vitals = self._vitals.of(self.live, self._clock.now_ns())
        outputs = [] if vitals is None else [Outputs(vitals=[vitals])]
        live = self.live
        second = live.now_ns // S
        enough = live.buffer.end - live.buffer.begin >= ENCODER_S * live.fs_hz
        window = live.last.piece.window if live.last is not None else None
        if window is None or not enough or second - self._encoded_s < self._settings.encoder_interval_s:
            return outputs
        if independent_leads(window.leads) >= ENCODER_LEADS:
            self._encoded_s = second
            stop = live.buffer.end
            outputs.append(Outputs(encoder_window=live.buffer.span(stop - round(ENCODER_S * live.fs_hz), stop)))
        return outputs

    def _next_analysis(self, before: Analysis) -> Analysis:
        """An analysis in the place of the one ``before``, of which the newest verdict and the last message are kept."""
        offset_ns = before.reassembly.clock_offset_ns
        if self._topics.windows in self.bed.applied:
            offset_ns = _ns_of_seconds(self.bed.clock_offset_s)
        analysis = self._analysis(offset_ns)
        analysis.judged_at_ns = before.judged_at_ns
        analysis.reassembly.last_append_ns = before.reassembly.last_append_ns
        analysis.reassembly.message_s = before.reassembly.message_s
        return analysis

    def _analysis(self, offset_ns: int | None) -> Analysis:
        reassembly = MessageReassembly(self._settings.sequence_wait_s, offset_ns, self.bed.patient)
        known = self.bed.baseline
        baseline = None if known is None else RhythmBaseline(known.st_mv, known.qrs_ms, known.pr_ms)
        limits = self._rules.checked_limits(self.bed.limits)
        return Analysis(reassembly, limits, self._settings.rhythm, baseline, fold=self._settings.weights_fold)

    def _rules_of(self, bed: Bed) -> Rules:
        site = self._settings.site
        return Rules(
            site_limits=self._settings.limits_of(bed.unit, bed.bed_stream, {}),
            patient_pattern=self._settings.patient_pattern,
            strip_key=lambda alert: f"ecg:{{{site}}}:strip:{alert}",
        )


def system_bed(since_ns: int) -> Bed:
    """The bed of the workers themselves."""
    return new_bed(SYSTEM, SYSTEM, SYSTEM, since_ns)


def joined(ranges: Sequence[Skipped]) -> list[Skipped]:
    """Ranges of offsets, ascending, with those that touch made one."""
    out: list[Skipped] = []
    for r in sorted(ranges, key=lambda r: r.first):
        if out and r.first <= out[-1].last + 1:
            out[-1] = out[-1].changed(last=max(out[-1].last, r.last))
        else:
            out.append(r)
    return out


def _ns_of_seconds(seconds: float) -> int:
    """Whole microseconds: a float of seconds holds them exactly, and documents hold no more."""
    return round(seconds * 1e6) * 1000
