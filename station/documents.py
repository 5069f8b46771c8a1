"""Documents of Redis as the page gets them: one that cannot be read in full harms itself alone.

Input: bytes of a document. Output: a JSON object with the field ``site``, or the reason why there is none. An alert
whose optional parts cannot be read is displayed without them: its field ``unreadable`` names them, and the alarm itself
stays. An alert without an `ALERT_CORE` field is not displayed; a `Fault` in its place becomes a technical alarm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from streams.alert import Alert
from streams.bed import Bed, Vitals
from streams.document import Document

Json = dict[str, Any]

ALERT_CORE = ("id", "version", "state", "priority", "code", "title", "bed_stream", "unit", "onset")
EMPTY: Json = {
    "phase": "update", "kind": "physiological", "patient": "", "bed": "", "superseded_by": None, "late": False,
    "sounded": False, "sounding": False, "end": None, "acknowledged": None, "segment": None, "interpretation": None,
    "reminders": 0, "escalated": None, "provenance": None, "leads": [], "derived_leads": [], "citations": [],
}  # fmt: skip
"""Value of a part of an alert that cannot be read."""
TIMES = ("detected", "published")  # in place of one that cannot be read: the onset
STATES = ("on", "latched", "acknowledged", "off")
PRIORITIES = ("PH", "PM", "PL", "PN")
REASON_LONGEST = 200  # characters


@dataclass(frozen=True)
class Fault:
    """A document that cannot be read: what it is, of which bed where that is known, and why."""

    kind: str
    name: str
    bed_stream: str
    reason: str

    def to_json(self, site: str) -> Json:
        """Data of the event `unreadable`."""
        return {
            "site": site, "kind": self.kind, "name": self.name, "bed_stream": self.bed_stream, "reason": self.reason,
        }  # fmt: skip


def alert_of(data: Any, site: str, name: str = "") -> Json | Fault:
    """An alert for the page, without the parts that cannot be read."""
    doc = json_of(data)
    if doc is None:
        return Fault("alert", name, "", "the document is no JSON object")
    fault = _core_fault(doc)
    if fault:
        return Fault("alert", str(doc.get("id", name))[:64], str(doc.get("bed_stream", ""))[:64], fault)
    try:
        return {"site": site} | Alert.model_validate(doc).model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        return {"site": site} | _without_unreadable_parts(doc, error)


def _core_fault(doc: Json) -> str:
    missing = [name for name in ALERT_CORE if doc.get(name) in (None, "")]
    if missing:
        return f"no {', '.join(missing)}"
    if doc["state"] not in STATES or doc["priority"] not in PRIORITIES or not isinstance(doc["version"], int):
        return f"state {doc['state']!r}, priority {doc['priority']!r} or version {doc['version']!r} is not known"[:200]
    return ""


def _without_unreadable_parts(doc: Json, error: ValidationError) -> Json:
    wrong = sorted({str(found["loc"][0]) for found in error.errors(include_url=False)})
    kept = {name: doc.get(name, value) for name, value in EMPTY.items()} | {name: doc[name] for name in ALERT_CORE}
    kept |= {name: doc.get(name, doc["onset"]) for name in TIMES}
    for name in wrong:
        kept[name] = EMPTY[name] if name in EMPTY else doc["onset"] if name in TIMES else str(doc.get(name))[:64]
    first = error.errors(include_url=False)[0]
    reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:REASON_LONGEST]
    return kept | {"unreadable": {"parts": wrong, "reason": reason}}


def bed_of(data: Any, site: str, name: str = "") -> Json | Fault:
    """A bed for the page, without its alerts, which come by themselves."""
    return _whole("bed", Bed, data, site, name, {"alerts", "skipped", "applied"})


def vitals_of(data: Any, site: str, name: str = "") -> Json | Fault:
    """Vitals for the page."""
    return _whole("vitals", Vitals, data, site, name, set())


def _whole(kind: str, of: type[Document], data: Any, site: str, name: str, without: set[str]) -> Json | Fault:
    doc = json_of(data)
    if doc is None:
        return Fault(kind, name, name, "the document is no JSON object")
    try:
        return {"site": site} | of.model_validate(doc).model_dump(mode="json", by_alias=True, exclude=without)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:REASON_LONGEST]
        return Fault(kind, name, str(doc.get("bed_stream", name))[:64], reason)


def json_of(data: Any) -> Json | None:
    """The JSON object in some bytes; None where they hold none."""
    try:
        found = json.loads(data.decode() if isinstance(data, bytes) else data)
    except (AttributeError, TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
