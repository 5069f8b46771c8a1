"""The alarms of a record: the rhythm tier and the alarm life cycle of a live bed, run over it once a second.

In: an ECG. Out: one event for each condition, in seconds from the record's first sample; ``sounded`` says whether its
alarm would have begun to sound: a condition that goes on with the alert of the one before, which sounds already, adds
no alarm. A record has no clock of its own: its first sample is 1970-01-01T00:00:00Z in citations.
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
from models.arrhythmia.tier import RhythmTier, update_chunks
from models.ecg import EcgSource
from streams.bed import Bed
from streams.document import time_of_ns

BED_STREAM = "record"


def alarm_events(
    ecg: EcgSource, limits: Limits, settings: RhythmSettings, until_s: float | None = None, *, fold: str | None = None
) -> list[dict[str, Any]]:
    """Every condition of a record, by onset.

    Parameters
    ----------
    ecg : EcgSource
        The record; its start time is not used.
    limits : Limits
        Alarm limits, as of a live bed.
    settings : RhythmSettings
        Confirmation times, as of a live bed.
    until_s : float, optional
        End there, s: later samples are not used.
    fold : str, optional
        Use network weights trained without this fold (evaluation).

    Returns
    -------
    list of dict
        ``code, kind, priority, onset_s, detected_s, end_s, sounded, citations``.
    """
    fs = ecg.fs_hz
    tier = RhythmTier(ecg.leads, fs, limits=limits, settings=settings, paced=ecg.paced, fold=fold)
    bed = Bed(bed_stream=BED_STREAM, unit="", bed="", since=time_of_ns(0))
    found: dict[tuple[str, int], Episode] = {}
    sounded: dict[str, bool] = {}
    sounded_by: dict[str, tuple[str, int]] = {}  # alert: the condition that held when it began to sound
    priorities: dict[tuple[str, int], str] = {}
    for chunk in update_chunks(ecg, until_s):
        result = tier.push(chunk)
        for episode in result.episodes:
            # The evidence of the detection stays; only the end is updated.
            first = found.setdefault(episode.key, episode)
            found[episode.key] = replace(first, last_held=episode.last_held, end=episode.end)
            priority = priority_of(episode.code, chunk.leads_off, ecg.leads)
            if priority is not None:
                priorities[episode.key] = priority
        if result.episodes or bed.alerts:
            reports = [_report(e, fs, priorities.get(e.key)) for e in result.episodes]
            bed, versions = step(bed, _ns(result.now, fs), reports)
            for alert in versions:
                sounded[alert.id] = alert.sounded
            for episode, report in zip(result.episodes, reports, strict=True):
                alert_known = alert_of(bed, report)  # an episode may go on with the alert of the one before
                if alert_known is not None and sounded.get(alert_known.id, False):
                    sounded_by.setdefault(alert_known.id, episode.key)
    heard = set(sounded_by.values())
    return [_event(e, ecg, e.key in heard, priorities) for e in sorted(found.values(), key=lambda e: (e.onset, e.code))]


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


def _event(
    episode: Episode, ecg: EcgSource, sounded: bool, priorities: Mapping[tuple[str, int], str]
) -> dict[str, Any]:
    fs = ecg.fs_hz
    code = CODES[episode.code]
    citations = citations_of(episode.evidence, 0, fs)
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
