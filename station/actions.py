"""Actions of people at the page: checked here, so that a person learns at once what cannot be; the monitor decides.

Input: the JSON body of ``POST /api/actions``. Output: an `Action` for the Redis inbox, or `RejectedAction`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from station.documents import Fault, Json, alert_of
from streams.bed import Action
from streams.ward_view import WardView

AUDIO_PAUSE_MAX_S = 180
ALERT_ID = re.compile(r"[0-9a-f]{32}")
BY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
WITHOUT_ARGS = ("acknowledge", "discharge", "standby", "resume", "baseline")

LimitTable = Mapping[str, Mapping[str, Any]]
"""Code to ``title``, ``priority``, ``lethal``, ``default`` (part → value) and ``bounds`` (part → lowest, highest)."""


class RejectedAction(Exception):  # noqa: N818  (an answer, not a fault)
    """The action cannot be taken; ``answer`` goes to the page with ``status``."""

    def __init__(self, status: int, reason: str, **more: object) -> None:
        super().__init__(reason)
        self.status = status
        self.answer: Json = {"error": reason} | more


def action_of(doc: object, by: str) -> Action:
    """The action of a request body, with the server's time.

    Parameters
    ----------
    doc : object
        JSON of the body.
    by : str
        Who logged in; empty: nobody, and the body says who acts.

    Raises
    ------
    RejectedAction
        With the reason in words for the person.
    """
    if not isinstance(doc, dict):
        raise RejectedAction(422, "the body is no JSON object")
    person = by or str(doc.get("by", "")).strip()
    if not by and not BY.fullmatch(person):
        raise RejectedAction(422, "your ID has 1 to 64 letters, digits or . _ @ -")
    try:
        return Action.model_validate(doc | {"at": datetime.now(UTC), "by": person})
    except ValidationError as error:
        first = error.errors()[0]
        raise RejectedAction(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def check_action(action: Action, view: WardView, limits: LimitTable) -> None:
    """Raise `RejectedAction` for an action that the monitor would reject; ``limits`` has the bounds of each limit."""
    if action.action in WITHOUT_ARGS and action.args:
        raise RejectedAction(422, f"{action.action} takes no args")
    if view.redis.exists(view.keys.bed(action.bed_stream)) == 0:
        raise RejectedAction(404, f"there is no bed {action.bed_stream}")
    if action.action == "acknowledge":
        _check_alert(action, view)
    elif action.action == "silence":
        _check_seconds(action.args)
    elif action.action == "admit":
        if not isinstance(action.args.get("patient"), str) or not action.args["patient"].strip():
            raise RejectedAction(422, "admit needs the patient's pseudonym")
    elif action.action == "limits":
        _check_limits(action.args, limits)


def _check_alert(action: Action, view: WardView) -> None:
    if not ALERT_ID.fullmatch(action.alert_id or ""):
        raise RejectedAction(422, "acknowledge needs alert_id, 32 hex digits")
    stored: Any = view.redis.hget(view.keys.alert(str(action.alert_id)), "doc")
    alert = None if stored is None else alert_of(stored, "")
    if alert is None or isinstance(alert, Fault):
        raise RejectedAction(404, f"there is no alert {action.alert_id}")
    if alert["bed_stream"] != action.bed_stream:
        raise RejectedAction(422, f"the alert is of bed {alert['bed_stream']}, not of {action.bed_stream}")
    if alert["acknowledged"]:
        first = alert["acknowledged"]
        raise RejectedAction(409, f"{first['by']} acknowledged it first", acknowledged=first)
    if alert["state"] == "off":
        raise RejectedAction(409, "the alarm is over and needs no acknowledgement")


def _check_seconds(args: Mapping[str, Any]) -> None:
    seconds = args.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= AUDIO_PAUSE_MAX_S:
        raise RejectedAction(422, f"an audio pause lasts 0 (ends it) to {AUDIO_PAUSE_MAX_S} s")


def _check_limits(args: Mapping[str, Any], limits: LimitTable) -> None:
    if not args:
        raise RejectedAction(422, "limits needs at least one code")
    for code, parts in args.items():
        rule = limits.get(code)
        if rule is None:
            raise RejectedAction(422, f"{code} has no limits that can be set")
        if parts is None:
            continue
        if not isinstance(parts, dict):
            raise RejectedAction(422, f"limits of {code} are parts such as {{'rate': 45}}, or null")
        for part, value in parts.items():
            _check_part(code, part, value, rule)


def _check_part(code: str, part: str, value: object, rule: Mapping[str, Any]) -> None:
    if value is None:
        return
    if part == "on":
        if not isinstance(value, bool):
            raise RejectedAction(422, f"{code} on is true or false")
        if rule["lethal"] and not value:
            raise RejectedAction(422, f"{rule['title']} cannot be switched off")
        return
    bounds = rule["bounds"].get(part)
    if bounds is None:
        raise RejectedAction(422, f"{part} of {code} cannot be set")
    low, high = bounds
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RejectedAction(422, f"{part} of {rule['title']} is {low:g} to {high:g}")
