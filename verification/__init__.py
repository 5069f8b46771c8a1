"""Independent verification of an alert: citations measured again from samples, sentences checked against them.

The package imports nothing of the product, so that an error of the product is not repeated here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from verification.citations import citation_fault
from verification.sentences import Text
from verification.signal import Signal, read_record, read_strip
from verification.tables import CODES

__all__ = ["Signal", "read_record", "read_strip", "seconds_of", "verify"]


def seconds_of(instant: str) -> float:
    """Seconds since 1970-01-01, where a record without a clock begins."""
    return (datetime.fromisoformat(instant) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def verify(alert: dict[str, Any], signal: Signal | None) -> dict[str, Any]:
    """Check an alert document (docs/consume.md); without a signal only the document in itself.

    Returns
    -------
    dict
        ``id``, ``citations`` (n, verdict, measured, why), ``sentences`` (text, verdict, why), ``alert`` (faults of the
        document as a whole) and ``ok``.
    """
    found = [(c["n"], *citation_fault(c, alert["segment"], signal)) for c in alert["citations"]]
    citations = [{"n": n, "verdict": "wrong" if why else "right", "measured": x, "why": why} for n, why, x in found]
    sentences, faults = Text(alert, signal).check(), [*_alarm_faults(alert), *_claim_faults(alert)]
    ok = not faults and all(x["verdict"] != "wrong" for x in [*citations, *sentences])
    return {"id": alert["id"], "citations": citations, "sentences": sentences, "alert": faults, "ok": ok}


def _alarm_faults(alert: dict[str, Any]) -> Iterator[str]:
    name, rules = alert["code"], [c["criterion"]["rule"] for c in alert["citations"] if c["criterion"]]
    code = CODES.get(name, {"kind": None, "rule": "^$"})
    if any(alert[k] != v for k, v in code.items() if k in alert):
        yield f"{name} is not {alert['title']!r}, {alert['priority']}, {alert['kind']}"
    key = f"{alert['bed_stream']}|{name}|{round(seconds_of(alert['onset']) * 1e6) * 1000}"
    if alert["version"] == 1 and alert["id"] != hashlib.sha256(key.encode()).hexdigest()[:32]:
        yield "the id is not of this bed, code and onset"
    if [c["n"] for c in alert["citations"]] != list(range(1, len(alert["citations"]) + 1)):
        yield "the citations are not numbered 1…k"
    if code["kind"] == "physiological" and not any(rules):
        yield f"no citation has a criterion of {name}"
    yield from (f"the rule {r!r} is not of {name}" for r in rules if not re.search(code["rule"], r))


def _claim_faults(alert: dict[str, Any]) -> Iterator[str]:
    words = alert["interpretation"] or {"text": "", "claims": [], "counts": {}}
    for claim in words["claims"]:
        place = slice(claim["start"], claim["end"])
        if place.start is not None and (words["text"][place] != claim["text"] or claim["verdict"] == "contradicted"):
            yield f"claim {claim['text']!r} ({claim['verdict']}) is not to be at {claim['start']}"
        if claim["verdict"] == "supported" and claim["citation"] not in {c["n"] for c in alert["citations"]}:
            yield f"claim {claim['text']!r} is supported by no citation"
    if any(n != sum(c["verdict"] == k for c in words["claims"]) for k, n in words["counts"].items()):
        yield f"counts {words['counts']} are not those of the claims"
