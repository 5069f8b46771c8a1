"""The alarms of a record: rhythm tier and alarm life cycle of a live bed, causal, with an update interval of 1 s.

In: an ECG. Out: one event for each condition, in seconds from the record's first sample, with ``sounded``. A record has
no clock: citations date its first sample at 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agents.lifecycle.condition import ConditionReport, priority_of
from agents.lifecycle.matching import alert_of
from agents.lifecycle.state_machine import step
from agents.monitor.citations import citations_of
from models.arrhythmia.codes import CODES
from models.arrhythmia.episodes import Episode
from models.arrhythmia.limits import Limits, RhythmSettings
from models.arrhythmia.tier import RhythmTier
from models.ecg import Ecg
from streams.bed import Bed
from streams.document import time_of_ns

BED_STREAM = "record"
_HOP_S = 1.0


def alarm_events(
    ecg: Ecg, limits: Limits, settings: RhythmSettings, until_s: float | None = None, *, fold: str | None = None
) -> list[dict[str, Any]]:
    """Every condition of a record, by onset.

    Parameters
    ----------
    ecg : Ecg
        The record; its start time is not used.
    limits, settings : Limits, RhythmSettings
        Those of a live bed.
    until_s : float, optional
        End of the analysis, in seconds; later samples are ignored.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Returns
    -------
    list of dict
        ``code, kind, priority, onset_s, detected_s, end_s, sounded, citations``.
    """
    fs = ecg.fs_hz
    stop = ecg.n_samples if until_s is None else min(ecg.n_samples, round(until_s * fs))
    tier = RhythmTier(ecg.leads, fs, limits=limits, settings=settings, paced=ecg.paced, fold=fold)
    bed = Bed(bed_stream=BED_STREAM, unit="", bed="", since=time_of_ns(0))
    found: dict[tuple[str, int], Episode] = {}
    sounded: dict[str, bool] = {}
    alert_ids: dict[tuple[str, int], str] = {}
    priorities: dict[tuple[str, int], str] = {}
    hop_samples = round(_HOP_S * fs)
    for start in range(0, stop, hop_samples):
        chunk = ecg.slice(start, min(start + hop_samples, stop))
        hop = tier.push(replace(chunk, start_ns=round(start / fs * 1e9)))
        for episode in hop.episodes:
            # The event keeps the evidence of the detection; later updates set its end.
            first = found.setdefault(episode.key, episode)
            found[episode.key] = replace(first, last_held=episode.last_held, end=episode.end)
            priority = priority_of(episode.code, chunk.leads_off, ecg.leads)
            if priority is not None:
                priorities[episode.key] = priority
        if hop.episodes or bed.alerts:
            reports = [_report(e, fs, priorities.get(e.key)) for e in hop.episodes]
            bed, versions = step(bed, _ns(hop.now, fs), reports)
            for alert in versions:
                sounded[alert.id] = alert.sounded
            for episode, report in zip(hop.episodes, reports, strict=True):
                alert_known = alert_of(bed, report)  # an episode may continue the alert of the one before
                if alert_known is not None:
                    alert_ids[episode.key] = alert_known.id
    events = sorted(found.values(), key=lambda e: (e.onset, e.code))
    return [_event(e, ecg, sounded.get(alert_ids.get(e.key, ""), False), priorities) for e in events]


def _ns(sample: int, fs_hz: float) -> int:
    """Time of a sample in ns, rounded to the microseconds of documents."""
    return round(sample / fs_hz * 1e6) * 1000


def _report(episode: Episode, fs_hz: float, priority: Any) -> ConditionReport:
    onset = _ns(episode.onset, fs_hz)
    return ConditionReport(
        episode.code,
        onset,
        _ns(episode.detected, fs_hz),
        max(onset, _ns(episode.last_held, fs_hz)),
        None if episode.end is None else max(onset, _ns(episode.end, fs_hz)),
        held=episode.held,
        priority=priority,
        leads=episode.leads,
    )


def _event(episode: Episode, ecg: Ecg, sounded: bool, priorities: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    fs = ecg.fs_hz
    code = CODES[episode.code]
    citations = citations_of(episode.evidence, 0, ecg.n_samples, 0, fs)
    return {
        "code": code.code,
        "kind": code.kind,
        "priority": priorities.get(episode.key, code.priority),
        "onset_s": round(episode.onset / fs, 4),
        "detected_s": round(episode.detected / fs, 4),
        "end_s": None if episode.end is None else round(episode.end / fs, 4),
        "sounded": sounded,
        "citations": [c.model_dump(mode="json") for c in citations],
    }
