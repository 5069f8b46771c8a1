"""Independent verification of an alert before its interpretation is sent: the mark that stations show.

In: a draft of the interpretation, and the alert with its signal. Out: the interpretation, and `streams.alert.Verified`,
made by the package `verification`, which re-measures each citation from the samples and checks each sentence, and
imports nothing of the rest. A measurement that it does not confirm is left out and the text is written again; a text of
GEM's with a sentence that it finds wrong gives way to the rule-based report.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any
from zlib import crc32

from models.arrhythmia.codes import CODES
from models.ecg import Ecg
from models.grounding.draft import Draft
from models.grounding.interpretation import GroundedInterpretation
from streams.alert import Alert, InterpretationMessage, Verified
from streams.document import rfc3339, time_of_ns
from streams.wire import FlaggedSegment, encode_window
from verification import Signal, read_strip, verify

log = logging.getLogger(__name__)

FAULT_FOUND = "the verifier found a fault in GEM's text"
REWRITES = 6  # of a draft; then it is sent as it is, with a mark that is not ok
RHYTHM = ("REGULARITY", "HR", "RR", "SILENCE")  # measures whose citations name the leads that show the beats


def is_sampled(alert_id: str, share: float) -> bool:
    """Whether an alert is among the share that is verified; the same for the same alert.

    >>> [is_sampled("4f1c", share) for share in (0.0, 1.0)]
    [False, True]
    """
    return crc32(alert_id.encode()) < share * 2**32


Report = dict[str, Any]
"""Answer of `verification.verify`."""


def finished(
    draft: Draft, check: Callable[[GroundedInterpretation], Report]
) -> tuple[GroundedInterpretation, Verified]:
    """Write a draft so that the verifier confirms it, where this can be had.

    Parameters
    ----------
    draft : Draft
    check : callable
        Verifies the alert with an interpretation.
    """
    for _ in range(REWRITES):
        interpretation = draft.written()
        report = check(interpretation)
        numbers = {c["n"] for c in report["citations"] if c["verdict"] == "wrong"}
        false = [s["text"] for s in report["sentences"] if s["verdict"] == "wrong"]
        if interpretation.source == "measured":
            numbers |= {int(n) for text in false for n in re.findall(r"\[(\d+)\]", text)}
        wrong = [c.evidence for c in interpretation.evidence if c.n in numbers]
        if wrong:
            draft = draft.without(wrong)
        elif interpretation.source == "gem" and false:
            draft = draft.rule_based(FAULT_FOUND)
        else:
            break
    return interpretation, mark_of(report)


def report_on_message(segment: FlaggedSegment, message: InterpretationMessage) -> Report:
    """Verify the citations of a flagged segment, its interpretation, and the citations of this."""
    code, window = CODES[segment.code], segment.window
    citations = [c.model_dump(mode="json") for c in (*segment.citations, *message.citations)]
    used = dict.fromkeys(lead for c in citations if c["measure"] in RHYTHM for lead in c["leads"])
    document = {
        "id": segment.alert_id,
        "version": 2,
        "kind": code.kind,
        "code": code.code,
        "priority": code.priority,
        "title": code.title,
        "bed_stream": message.bed_stream,
        "onset": citations[0]["start"] if citations else "1970-01-01T00:00:00Z",
        "leads": list(used),
        "segment": {
            "start": rfc3339(time_of_ns(segment.start_ns)),
            "duration_s": window.samples.shape[1] / window.fs_hz,
            "sampling_rate": window.fs_hz,
        },
        "citations": citations,
        "interpretation": message.interpretation.model_dump(mode="json"),
    }
    return verify(document, read_strip(encode_window(window), tuple(used)))


def report_on_alert(alert: Alert, ecg: Ecg) -> Report:
    """Verify an alert on the signal of its segment."""
    signal = Signal(dict(zip(ecg.leads, ecg.mv.astype(float), strict=True)), ecg.fs_hz, tuple(alert.leads))
    return verify(alert.model_dump(mode="json", by_alias=True), signal)


def mark_of(report: Report) -> Verified:
    """The mark of a report; faults go to the log."""
    parts = [*report["citations"], *(s for s in report["sentences"] if s["verdict"] != "unchecked")]
    if not report["ok"]:
        wrong = [f"{x.get('text', x.get('n'))}: {x['why']}" for x in parts if x["verdict"] == "wrong"]
        log.warning("alert %s is not right: %s", report["id"], "; ".join([*wrong, *report["alert"]]))
    return Verified(ok=report["ok"], checked=len(parts))
