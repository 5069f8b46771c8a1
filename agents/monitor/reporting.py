"""From the rhythm tier's episodes to the life cycle's reports: instants, segment, citations, strip.

Citations are made once, for the report that begins an alert; later reports of the same episode carry none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from agents.lifecycle.condition import MONITOR_CODES, ConditionReport, priority_of
from agents.lifecycle.matching import alert_of
from agents.lifecycle.outputs import Strip
from agents.monitor.analysis import Analysis
from agents.monitor.citations import choose_span, citations_of, evidence_on_strip, segment_of, strips_back
from agents.monitor.encoder_flags import Raised
from models.arrhythmia.codes import CODES
from models.arrhythmia.episodes import Episode
from models.evidence import Evidence
from models.grounding.recitation import evidence_in_window, with_measured_qrs
from streams.alert import Alert, EncoderInfo, Provenance, WindowRange
from streams.bed import Bed
from streams.document import ns_of_time
from streams.wire import EcgWindow, window_of_ecg

CLEARED_S = {"AFIB": 90.0, "IRREGULAR": 90.0, "QT_LONG": 90.0, "ST_ELEVATION": 90.0, "ST_DEPRESSION": 90.0,
             "WIDE_QRS": 90.0, "PR_LONG": 90.0, "PVC_RATE": 90.0, "AV_BLOCK": 60.0}  # fmt: skip
CLEARED_DEFAULT_S = 20.0
"""A new signal segment with usable signal for this long and no report of a condition shows that it is absent: the time
that its rule needs for detection, and a margin. Until then an alert of the segment before goes on."""
STRIPS_REMEMBERED = 64  # without evidence, of one episode; a bed's memory stays bounded
STRIPS_MEASURED = 4
"""Strips measured for one message, at a tenth of a second each. A message that ends the wait of 64 others releases 64
steps: without a bound, conditions over time that no strip shows held the partition up for ten seconds."""


@cache
def monitor_version() -> str:
    """Version of this program, for the provenance."""
    try:
        return version("gem-bedside")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "0"


class Reporter:
    """Makes the reports of the life cycle from the episodes of the rhythm tier.

    Parameters
    ----------
    strip_s : float
        Length of a strip.
    encoder : EncoderInfo or None
        For the provenance.
    """

    def __init__(self, strip_s: float, encoder: EncoderInfo | None = None) -> None:
        self._strip_s = strip_s
        self.encoder = encoder
        self._version = monitor_version()
        self._plain: Provenance | None = None  # of reports without windows
        self._windows: dict[tuple[str, int], EcgWindow] = {}
        self._shows_nothing: dict[str, tuple[int, set[Hashable]]] = {}  # by code: onset, strips without evidence
        self._measured_for: tuple[int | None, int] = (None, 0)  # append time of a message, strips measured

    def provenance(self, windows: WindowRange | None = None) -> Provenance:
        """Versions and models behind a report, with the range of its windows."""
        plain = self._plain
        if plain is None or plain.encoder is not self.encoder:
            plain = self._plain = Provenance(monitor=self._version, encoder=self.encoder)
        return plain if windows is None else plain.changed(windows=windows)

    def reports(
        self, bed: Bed, analysis: Analysis, episodes: Iterable[Episode], *, live: bool
    ) -> list[ConditionReport]:
        """One report an episode; none of a condition that no strip shows, unless it is lethal or already an alert."""
        made = [self._report(bed, analysis, episode, live) for episode in episodes]
        return [report for report in made if report is not None]

    def cleared(self, bed: Bed, analysis: Analysis, episodes: Iterable[Episode]) -> list[ConditionReport]:
        """The ends of conditions that the segment before, or another worker, left on, and that are absent now."""
        named, since_ns = {episode.code for episode in episodes}, analysis.usable_since_ns
        out = []
        for alert in bed.alerts:
            of_the_signal = alert.code not in MONITOR_CODES and not CODES[alert.code].instant
            if not of_the_signal or alert.end is not None or alert.state == "off" or alert.code in named:
                continue
            if since_ns is None or analysis.usable_s < CLEARED_S.get(alert.code, CLEARED_DEFAULT_S):
                continue
            onset_ns = ns_of_time(alert.onset)
            end_ns = max(onset_ns, since_ns)
            out.append(
                ConditionReport(
                    code=alert.code,
                    onset_ns=onset_ns,
                    detected_ns=end_ns,
                    last_held_ns=end_ns,
                    end_ns=end_ns,
                    provenance=self.provenance(),
                )
            )
        return out

    def strips(self, alerts: Iterable[Alert]) -> list[Strip]:
        """The strips of the alerts that began in this step."""
        windows, self._windows = self._windows, {}
        out = []
        for alert in alerts:
            if alert.version == 1 and alert.segment is not None:
                window = windows.get((alert.code, ns_of_time(alert.segment.start)))
                if window is not None:
                    out.append(Strip(alert.id, window))
        return out

    def _report(self, bed: Bed, analysis: Analysis, episode: Episode, live: bool) -> ConditionReport | None:
        buffer, fs_hz = analysis.buffer, analysis.fs_hz
        onset_ns = buffer.instant_ns(episode.onset)
        last_ns = max(onset_ns, buffer.instant_ns(episode.last_held))
        newest = None if analysis.last is None else analysis.last.piece.window
        priority = None if newest is None else priority_of(episode.code, newest.leads_off, newest.leads)
        report = ConditionReport(
            code=episode.code,
            onset_ns=onset_ns,
            detected_ns=max(onset_ns, buffer.instant_ns(episode.detected)),
            last_held_ns=last_ns,
            end_ns=None if episode.end is None else max(onset_ns, buffer.instant_ns(episode.end)),
            held=episode.held,
            live=live,
            priority=priority,
            leads=episode.leads,
        )
        if alert_of(bed, report) is not None:
            return report
        found = self._with_evidence(bed, analysis, episode, report, fs_hz)
        return found if found.citations or not _needs_evidence(episode) else None

    def _with_evidence(
        self, bed: Bed, analysis: Analysis, episode: Episode, report: ConditionReport, fs_hz: float
    ) -> ConditionReport:
        buffer = analysis.buffer
        start, stop = choose_span(buffer, episode.evidence, episode.detected, fs_hz, self._strip_s)
        if stop <= start:
            return report
        evidence = evidence_on_strip(episode.evidence, start, stop, fs_hz)
        if evidence:
            evidence = with_measured_qrs(evidence, buffer.span(start, stop))
        else:  # a rule over a longer time than the strip: an instance is measured on the newest strip that shows one
            spans = strips_back(buffer, max(episode.onset, buffer.begin), (start, stop), fs_hz)
            for first, last in spans:
                if evidence := self._measured(episode, analysis, first, last):
                    start, stop = first, last
                    break
        if not evidence and _needs_evidence(episode):
            return report
        window, derived = self.window(bed, analysis, start, stop)
        start_ns = buffer.instant_ns(start)
        segment = segment_of(start_ns, window.n_samples, fs_hz)
        epoch, first_message, last_message = analysis.messages(start, stop)
        self._windows[episode.code, ns_of_time(segment.start)] = window
        return replace(
            report,
            citations=tuple(citations_of(evidence, start_ns, fs_hz)),
            derived_leads=tuple(lead for lead in derived if lead in episode.leads),
            segment=segment,
            provenance=self.provenance(WindowRange(epoch=epoch, first=first_message, last=last_message)),
        )

    def _measured(self, episode: Episode, analysis: Analysis, first: int, last: int) -> tuple[Evidence, ...]:
        """The evidence that a strip shows. A strip that showed none is not measured again at the next update.

        After `STRIPS_MEASURED` of one message the strips wait for the next one.
        """
        buffer, append_ns = analysis.buffer, analysis.reassembly.last_append_ns
        onset_ns = buffer.instant_ns(episode.onset)
        before, tried = self._shows_nothing.get(episode.code, (onset_ns, set()))
        if before != onset_ns or len(tried) >= STRIPS_REMEMBERED:
            tried = set()
        self._shows_nothing[episode.code] = onset_ns, tried
        strip = buffer.instant_ns(first), buffer.instant_ns(last), min(episode.last_held, last), episode.evidence
        count = self._measured_for[1] if self._measured_for[0] == append_ns else 0
        if strip in tried or count >= STRIPS_MEASURED:
            return ()
        self._measured_for = append_ns, count + 1
        evidence = evidence_in_window(episode, first, buffer.span(first, last))
        if not evidence:
            tried.add(strip)
        return evidence

    def window(self, bed: Bed, analysis: Analysis, start: int, stop: int) -> tuple[EcgWindow, tuple[str, ...]]:
        """Samples ``start`` to ``stop`` of the buffer as a message, as recorded, and the derived leads."""
        segment = analysis.buffer.span(start, stop)
        last_ns = segment.start_ns + round((segment.n_samples - 1) / segment.fs_hz * 1e9)
        epoch, first, _ = analysis.messages(start, stop)
        gains = {round(float(x), 6) for x in analysis.lsb_uv}
        window = window_of_ecg(
            replace(segment, start_ns=segment.start_ns - (analysis.reassembly.clock_offset_ns or 0)),
            bed_stream=bed.bed_stream,
            unit=bed.unit,
            bed=bed.bed,
            patient=bed.patient,
            epoch=epoch,
            sequence=first,
            gateway_time_ns=last_ns,
            lsb_uv=gains.pop() if len(gains) == 1 else None,
        )
        return window, segment.derived

    def strips_at_hand(self, bed: Bed, analysis: Analysis) -> list[Strip]:
        """The strips of the alerts whose segment is still at hand: one that was lost with a worker comes back so."""
        buffer, out = analysis.buffer, []
        for alert in bed.alerts:
            if alert.segment is None or analysis.last is None or alert.segment.sampling_rate != analysis.fs_hz:
                continue
            start = buffer.sample_at(ns_of_time(alert.segment.start))
            stop = start + round(alert.segment.duration_s * analysis.fs_hz)
            if buffer.begin <= start and stop <= buffer.end:
                out.append(Strip(alert.id, self.window(bed, analysis, start, stop)[0]))
        return out

    def of_the_encoder(self, bed: Bed, analysis: Analysis, raised: Raised) -> ConditionReport | None:
        """An `INTERPRETATION` over the window that the encoder looked at; None where it is not at hand any more."""
        buffer = analysis.buffer
        start, stop = buffer.sample_at(raised.start_ns), buffer.sample_at(raised.stop_ns)
        if start < buffer.begin or stop > buffer.end or stop <= start:
            return None
        window, derived = self.window(bed, analysis, start, stop)
        segment = segment_of(buffer.instant_ns(start), window.n_samples, analysis.fs_hz)
        self._windows["INTERPRETATION", ns_of_time(segment.start)] = window
        epoch, first, last = analysis.messages(start, stop)
        return ConditionReport(
            code="INTERPRETATION",
            onset_ns=raised.start_ns,
            detected_ns=raised.stop_ns,
            last_held_ns=raised.stop_ns,
            end_ns=raised.stop_ns,
            leads=(*window.leads, *derived),
            derived_leads=derived,
            segment=segment,
            provenance=self.provenance(WindowRange(epoch=epoch, first=first, last=last)),
        )


def _needs_evidence(episode: Episode) -> bool:
    """A condition that no strip shows is not reported, unless it is lethal or has no evidence by nature."""
    return bool(episode.evidence) and CODES[episode.code].priority != "PH"
