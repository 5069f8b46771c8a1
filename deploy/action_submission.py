"""Submission of a person's action from the command line: to the inbox, then a check that the monitor applied it."""

from __future__ import annotations

import os
import pwd
import socket
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deploy.failures import CommandFailed
from deploy.output import Output, complain
from streams.action_inbox import submit_action
from streams.audit import AuditEntry
from streams.bed import Action, ActionName

if TYPE_CHECKING:
    from streams.ward_view import WardView

APPLIED_WITHIN_S = 5.0  # the workers take tenths of a second; without it the command would wait for stopped workers
_POLL_S = 0.1


def submit(
    view: WardView,
    out: Output,
    name: ActionName,
    bed_stream: str,
    by: str,
    args: dict[str, Any],
    alert_id: str | None = None,
) -> None:
    """Add an action to the inbox and print it, with ``applied``: whether the bed has applied it within 5 s.

    An action that is not applied yet stays in the inbox until the workers run.
    """
    try:
        action = Action(
            id=uuid.uuid4().hex,
            action=name,
            bed_stream=bed_stream,
            alert_id=alert_id,
            by=by,
            at=datetime.now(UTC),
            args=args,
        )
    except ValueError as wrong:
        raise CommandFailed(f"{name} of {bed_stream} is not a valid action: {wrong}") from wrong
    submit_action(view.redis, view.keys.site, action, AuditEntry("action", via="command line", origin=system_user()))
    applied = _applied(view, bed_stream, action.id)
    if out.as_json:
        out.line({**action.model_dump(mode="json", by_alias=True), "applied": applied})
    else:
        out.console.print(f"{name} {bed_stream}: {'applied' if applied else 'in the inbox'}")
    if not applied:
        complain(
            f"{name} {bed_stream}: not applied within {APPLIED_WITHIN_S:g} s; it waits in the inbox for the workers"
        )


def system_user() -> str:
    """``<user>@<host>`` of the operating system: who really ran the command, whatever ``--by`` says."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _applied(view: WardView, bed_stream: str, action_id: str) -> bool:
    until = time.monotonic() + APPLIED_WITHIN_S
    while time.monotonic() < until:
        found = view.bed(bed_stream)
        if found is not None and action_id in found.bed.applied_ids:
            return True
        time.sleep(_POLL_S)
    return False
