"""Independent verification of an alert before its interpretation is sent: the mark that stations show.

In: the alert and its signal. Out: `streams.alert.Verified`, made by the package `verification`, which re-measures each
citation from the samples and checks each sentence, and imports nothing of the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from models.arrhythmia.codes import CODES
from models.ecg import Ecg
from streams.alert import Alert, InterpretationMessage, Verified
from streams.document import rfc3339, time_of_ns
from streams.wire import FlaggedSegment, encode_window
from verification import Signal, read_strip, verify

log = logging.getLogger(__name__)

FAULT_FOUND = "the verifier found a fault in GEM's text"
RHYTHM = ("REGULARITY", "HR", "RR", "SILENCE")  # measures whose citations name the leads that show the beats


def is_sampled(alert_id: str, share: float) -> bool:
    """Whether an alert is among the share that is verified; the same for the same alert.

    >>> [is_sampled("4f1c", share) for share in (0.0, 1.0)]
    [False, True]
    """
    return crc32(alert_id.encode()) < share * 2**32


def verified_message(segment: FlaggedSegment, message: InterpretationMessage) -> Verified:
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
    return _mark(document, read_strip(encode_window(window), tuple(used)))


def verified_alert(alert: Alert, ecg: Ecg) -> Verified:
    """Verify an alert on the signal of its segment."""
    signal = Signal(dict(zip(ecg.leads, ecg.mv.astype(float), strict=True)), ecg.fs_hz, tuple(alert.leads))
    return _mark(alert.model_dump(mode="json", by_alias=True), signal)


def _mark(document: Mapping[str, Any], signal: Signal) -> Verified:
    report = verify(dict(document), signal)
    parts = [*report["citations"], *(s for s in report["sentences"] if s["verdict"] != "unchecked")]
    if not report["ok"]:
        wrong = [f"{x.get('text', x.get('n'))}: {x['why']}" for x in parts if x["verdict"] == "wrong"]
        log.warning("alert %s is not right: %s", document["id"], "; ".join([*wrong, *report["alert"]]))
    return Verified(ok=report["ok"], checked=len(parts))
