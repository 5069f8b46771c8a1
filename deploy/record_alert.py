"""The alert document of one 10-s window of a record, with an interpretation.

In: an ECG and the start of the window in seconds. Out: `streams.alert.Alert` as of a live bed, with the window as its
segment; its code is that of the highest-ranked alarm in the window, or ``INTERPRETATION`` where there is none. A record
has no clock: its first sample is dated 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agents.interpreter.interpretation_message import interpretation_of
from agents.interpreter.verified import RHYTHM, Report, finished, mark_of, report_on_alert
from agents.lifecycle.citation_documents import citation_of
from agents.monitor.citations import citations_of, segment_of
from agents.monitor.reporting import monitor_version
from models.arrhythmia.codes import CODES
from models.arrhythmia.episodes import Episode
from models.arrhythmia.limits import Limits, RhythmSettings
from models.arrhythmia.tier import find_episodes
from models.ecg import Ecg, EcgSource
from models.evidence import Evidence
from models.grounding.draft import Draft
from models.grounding.interpretation import GroundedInterpretation
from models.grounding.recitation import evidence_in_window
from streams.alert import Alert, Phase, Provenance, State, Verified, alert_id
from streams.document import time_of_ns

WINDOW_S = 10.0
BED_STREAM = "record"
_ORDER = ("PH", "PM", "PL", "PN")

Reader = Callable[[Ecg, Sequence[Evidence], str], Draft]
"""Drafts the interpretation of a window, given the alert's own evidence in samples of the window, and its code."""


def window_alert(
    ecg: EcgSource,
    start_s: float,
    limits: Limits,
    settings: RhythmSettings,
    read: Reader,
    *,
    fold: str | None = None,
    confirm: bool = True,
) -> Alert:
    """The alert of the window that begins at ``start_s``; the last window of a record may be shorter.

    The text is written so that the verifier confirms it, as in a live bed; without ``confirm`` it stays as it comes
    (evaluation).

    Raises
    ------
    ValueError
        The record ends before the window begins.
    """
    fs = ecg.fs_hz
    start = round(start_s * fs)
    window = ecg.slice(start, start + round(WINDOW_S * fs))
    if start < 0 or window.n_samples == 0:
        raise ValueError(f"--start {start_s:g} s is not in the record, which lasts {ecg.duration_s:.2f} s")
    stop = start + window.n_samples
    window = ecg.slice(start, stop)
    episodes = find_episodes(ecg, limits, settings, until_s=stop / fs, fold=fold)
    episode, given = highest_ranked(episodes, start, window, fold=fold)
    code = CODES["INTERPRETATION" if episode is None else episode.code]
    start_ns = _ns(start, fs)
    onset_ns = start_ns if episode is None else _ns(episode.onset, fs)
    detected_ns = _ns(stop, fs) if episode is None else _ns(episode.detected, fs)
    identity = alert_id(BED_STREAM, code.code, onset_ns)
    end = None if episode is None or episode.end is None else time_of_ns(_ns(episode.end, fs))
    fields: dict[str, Any] = {
        "id": identity,
        "version": 1,
        "phase": Phase.START,
        "state": State.ON,
        "kind": code.kind,
        "code": code.code,
        "priority": code.priority,
        "title": code.title,
        "bed_stream": BED_STREAM,
        "patient": "",
        "unit": "",
        "bed": "",
        "onset": time_of_ns(onset_ns),
        "detected": time_of_ns(max(detected_ns, onset_ns)),
        "end": end,
        "published": time_of_ns(_ns(stop, fs)),
        "sounded": False,
        "sounding": False,
        "leads": list(ecg.leads if episode is None else _decided_on(episode, given)),
        "segment": segment_of(start_ns, window.n_samples, fs),
        "provenance": Provenance(monitor=monitor_version()),
    }
    own = citations_of(given, start_ns, fs)

    def alert_with(interpretation: GroundedInterpretation, mark: Verified | None = None) -> Alert:
        new = [citation_of(c.evidence, c.n, start_ns, fs) for c in interpretation.evidence]
        words = interpretation_of(interpretation, _ns(stop, fs)).changed(verified=mark)
        return Alert.model_validate({**fields, "citations": own + new, "interpretation": words})

    def report(interpretation: GroundedInterpretation) -> Report:
        return report_on_alert(alert_with(interpretation), window)

    draft = read(window, given, code.code)
    if confirm:
        return alert_with(*finished(draft, report))
    interpretation = draft.written()
    return alert_with(interpretation, mark_of(report(interpretation)))


def highest_ranked(
    episodes: Sequence[Episode], start: int, window: Ecg, *, fold: str | None = None
) -> tuple[Episode | None, tuple[Evidence, ...]]:
    """The highest-ranked condition that the window shows, the latest of equal rank, and its evidence in the window.

    A condition that began earlier and is still on is cited anew inside the window (`models.grounding.recitation`). One
    that the window shows no evidence of is skipped: an alert without a citation could not be verified.
    """
    stop = start + window.n_samples
    inside = [
        e
        for e in episodes
        if CODES[e.code].kind == "physiological" and e.onset < stop and e.last_held >= start and not e.held
    ]
    for episode in sorted(inside, key=lambda e: (_ORDER.index(CODES[e.code].priority), -e.onset)):
        given = evidence_in_window(episode, start, window, fold=fold)
        if given:
            return episode, given
    return None, ()


def _decided_on(episode: Episode, given: Sequence[Evidence]) -> tuple[str, ...]:
    """Leads of an alarm in the window: those that show its beats there, which may be fewer than at its onset."""
    leads = dict.fromkeys(lead for e in given if e.measure in RHYTHM for lead in e.leads)
    return tuple(leads) or episode.leads


def _ns(sample: int, fs_hz: float) -> int:
    return round(sample / fs_hz * 1e6) * 1000
