"""The alert document of one 10-s window of a record, with an interpretation.

In: an ECG and the start of the window in seconds. Out: `streams.alert.Alert` as of a live bed, with the window as its
segment; its code is that of the highest-ranked alarm in the window, or ``INTERPRETATION`` where there is none. A record
has no clock: its first sample is dated 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agents.interpreter.interpretation_message import interpretation_of
from agents.lifecycle.citation_documents import citation_of
from agents.monitor.citations import citations_of, segment_of
from agents.monitor.reporting import monitor_version
from models.arrhythmia.codes import CODES
from models.arrhythmia.episodes import Episode
from models.arrhythmia.limits import Limits, RhythmSettings
from models.arrhythmia.tier import find_episodes
from models.ecg import Ecg, EcgSource
from models.evidence import Evidence
from models.grounding.interpretation import GroundedInterpretation
from streams.alert import Alert, Phase, Provenance, State, alert_id
from streams.document import time_of_ns

WINDOW_S = 10.0
BED_STREAM = "record"
_ORDER = ("PH", "PM", "PL", "PN")

Reader = Callable[[Ecg, Sequence[Evidence]], GroundedInterpretation]
"""Reads a window, given the alert's own evidence in samples of the window (cited as 1…k)."""


def window_alert(
    ecg: EcgSource, start_s: float, limits: Limits, settings: RhythmSettings, read: Reader, *, fold: str | None = None
) -> Alert:
    """The alert of the window that begins at ``start_s``; the last window of a record may be shorter.

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
    episode = highest_ranked(find_episodes(ecg, limits, settings, until_s=stop / fs, fold=fold), start, stop)
    given = () if episode is None else _in_window(episode.evidence, start, stop)
    window = ecg.slice(start, stop)
    start_ns = _ns(start, fs)
    cited = citations_of(given, 0, window.n_samples, start_ns, fs)
    interpretation = read(window, given)
    cited += [citation_of(c.evidence, c.n, start_ns, fs) for c in interpretation.evidence]
    code = CODES["INTERPRETATION" if episode is None else episode.code]
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
        "leads": list(ecg.leads if episode is None else episode.leads),
        "segment": segment_of(start_ns, window.n_samples, fs),
        "citations": cited,
        "interpretation": interpretation_of(interpretation, _ns(stop, fs)),
        "provenance": Provenance(monitor=monitor_version()),
    }
    return Alert.model_validate(fields)


def highest_ranked(episodes: Sequence[Episode], start: int, stop: int) -> Episode | None:
    """The highest-ranked condition with evidence in the window; the latest of equal rank."""
    inside = [
        e
        for e in episodes
        if CODES[e.code].kind == "physiological"
        and e.onset < stop
        and e.last_held >= start
        and _in_window(e.evidence, start, stop)
    ]
    return min(inside, key=lambda e: (_ORDER.index(CODES[e.code].priority), -e.onset), default=None)


def _in_window(evidence: Sequence[Evidence], start: int, stop: int) -> list[Evidence]:
    """The evidence inside the window, in samples of the window."""
    return [e.shifted(-start) for e in evidence if start <= e.start and e.end <= stop]


def _ns(sample: int, fs_hz: float) -> int:
    return round(sample / fs_hz * 1e6) * 1000
