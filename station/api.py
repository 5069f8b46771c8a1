"""The station's answers in JSON: strips, alerts with their versions, history, trends, limits, and the inbox of actions.

============================== ======= ================================================================
path                           method  answer
============================== ======= ================================================================
`/api/session`                 GET     ``{user, roles, sites: [{site, units}]}``
`/api/snapshot`                GET     as the event `snapshot` (`station.broadcaster`)
`/api/history`                 GET     ``{alerts, cursor}``; query ``bed code priority q from to limit cursor units``
`/api/alerts/<id>`             GET     the newest version
`/api/alerts/<id>/versions`    GET     ``{versions, changes}``: all versions, and the bed's audit lines
`/api/alerts/<id>/previous`    GET     the bed's alert before it that has a strip
`/api/strips/<id>`             GET     `strip_json` of the alert's flagged segment
`/api/trends`                  GET     columns of a bed's trend; query ``bed hours site``
`/api/limits`                  GET     default and bounds of each limit, by code
`/api/actions`                 POST    202 ``{id, at}``: the action is in the Redis inbox
============================== ======= ================================================================

``site`` in a query or body names the site where the station has several. An error is ``{error}`` with the reason: 401,
403, 404, 409, 413, 422, 429, or 503 while Redis is lost.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from station.access import add_quietly, entry_of, person_of, refusal
from station.actions import ALERT_ID, LimitTable, action_of, check_action
from station.broadcaster import EventBroadcaster
from station.history import History, Query
from station.scope import Scope, scope_of
from station.site_reader import SiteReader
from streams.action_inbox import submit_action
from streams.document import ns_of_time, rfc3339
from streams.wire import EcgWindow

MAX_HISTORY = 200  # alerts of one page
MAX_TREND_HOURS = 25.0
STRIP_KEPT_H = 72


class Rejected(Exception):  # noqa: N818  (an answer, not a fault)
    """The request cannot be answered, with the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Api:
    """The handlers of the API.

    Parameters
    ----------
    broadcaster : EventBroadcaster
        The sites.
    limits : mapping
        Default and bounds of each limit.
    """

    def __init__(self, broadcaster: EventBroadcaster, limits: LimitTable) -> None:
        self.broadcaster = broadcaster
        self.limits = limits

    def routes(self) -> list[Route]:
        """Routes under ``/api``."""
        gets: dict[str, Callable[[Request], Any]] = {
            "session": self.session, "snapshot": self.snapshot, "history": self.history, "trends": self.trends,
            "limits": self.limit_table, "strips/{alert_id}": self.strip, "alerts/{alert_id}": self.alert,
            "alerts/{alert_id}/versions": self.versions, "alerts/{alert_id}/previous": self.previous,
        }  # fmt: skip
        return [
            *(Route(f"/api/{path}", handler) for path, handler in gets.items()),
            Route("/api/actions", self.actions, methods=["POST"]),
        ]

    async def session(self, request: Request) -> Response:
        """Who is logged in, and the sites and units of the role."""
        state = request.state
        return JSONResponse(
            {
                "user": getattr(state, "user", None),
                "roles": sorted(getattr(state, "roles", ())),
                "sites": self.broadcaster.sites(scope_of(request)),
            }
        )

    async def snapshot(self, request: Request) -> Response:
        """The state of the sites now."""
        return JSONResponse(await self.broadcaster.snapshot(scope_of(request)))

    async def history(self, request: Request) -> Response:
        """Alerts of the last 30 days."""
        reader, scope, asked = self._reader(request), scope_of(request), request.query_params
        query = Query(
            bed_stream=asked.get("bed") or None,
            code=asked.get("code") or None,
            priority=asked.get("priority") or None,
            words=asked.get("q", "").strip()[:100],
            from_ms=_ms_of(asked.get("from", "")),
            to_ms=_ms_of(asked.get("to", "")),
        )
        limit = _whole_number(asked.get("limit", "50"), MAX_HISTORY)
        units = [unit for unit in sorted(reader.units) if scope.allows(reader.site, unit)]
        cursor = asked.get("cursor", "")
        if cursor and not cursor.partition("|")[0].replace("-", "").isdigit():
            raise Rejected(422, "cursor is not one that this station gave")
        found, cursor = await run_in_threadpool(self._history(reader).find, units, query, limit, cursor)
        return JSONResponse({"alerts": found, "cursor": cursor})

    async def alert(self, request: Request) -> Response:
        """The newest version of an alert."""
        _, found = await self._alert(request)
        return JSONResponse(found)

    async def versions(self, request: Request) -> Response:
        """All versions of an alert, and the audit lines of its bed."""
        reader, found = await self._alert(request)
        versions = await run_in_threadpool(self._history(reader).versions, found["id"])
        bed = await run_in_threadpool(reader.view.bed, found["bed_stream"])
        changes = [] if bed is None else [change.model_dump(mode="json") for change in bed.bed.changes]
        return JSONResponse({"versions": versions, "changes": changes})

    async def previous(self, request: Request) -> Response:
        """The bed's alert before this one that has a strip."""
        reader, found = await self._alert(request)
        before = await run_in_threadpool(self._history(reader).previous, found)
        if before is None:
            raise Rejected(404, f"no earlier strip of bed {found['bed_stream']} is kept")
        return JSONResponse(before)

    async def strip(self, request: Request) -> Response:
        """The signal of an alert."""
        reader, found = await self._alert(request)
        window = await run_in_threadpool(reader.view.strip, found["id"])
        if window is None:
            raise Rejected(404, f"a strip is kept for {STRIP_KEPT_H} h, and not every alert has one")
        return JSONResponse(strip_json(window))

    async def trends(self, request: Request) -> Response:
        """Heart rate, PVC rate and ST of a bed."""
        reader = self._reader(request)
        try:
            hours = float(request.query_params.get("hours", "24"))
        except ValueError as error:
            raise Rejected(422, "hours is a number") from error
        if not 0 < hours <= MAX_TREND_HOURS:
            raise Rejected(422, f"hours is above 0, at most {MAX_TREND_HOURS:g}")
        bed_stream = request.query_params.get("bed", "")
        bed = await run_in_threadpool(reader.view.bed, bed_stream)
        if bed is None or not scope_of(request).allows(reader.site, bed.bed.unit):
            raise Rejected(404, f"there is no bed {bed_stream}")
        return JSONResponse(await run_in_threadpool(self._history(reader).trend, bed_stream, hours))

    async def limit_table(self, _: Request) -> Response:
        """Default and bounds of each limit."""
        return JSONResponse(self.limits)

    async def actions(self, request: Request) -> Response:
        """Put an action of a person into the inbox."""
        if not same_origin(request):
            raise Rejected(403, "only the station's own page may send actions")
        try:
            doc = json.loads(await request.body())
        except (ValueError, RecursionError) as error:
            raise Rejected(422, "the body is no JSON") from error
        site = str(doc.pop("site", "") or "") if isinstance(doc, dict) else ""
        reader = self._reader(request, site)
        redis, site = reader.view.redis, reader.site
        action = action_of(doc, person_of(request).name)
        bed = await run_in_threadpool(reader.view.bed, action.bed_stream)
        unit = "" if bed is None else bed.bed.unit
        entry = entry_of(request, unit)
        if (why := refusal(request, action.action, unit)) is not None:
            await add_quietly(redis, site, replace(entry, event="refused", reason=why).about(action))
            raise Rejected(403, why)
        await run_in_threadpool(check_action, action, reader.view, self.limits)
        await run_in_threadpool(submit_action, redis, site, action, entry)
        return JSONResponse({"id": action.id, "at": rfc3339(action.at), "by": action.by}, status_code=202)

    async def _alert(self, request: Request) -> tuple[SiteReader, dict[str, Any]]:
        alert_id = request.path_params["alert_id"]
        if not ALERT_ID.fullmatch(alert_id):
            raise Rejected(404, "an alert id has 32 hex digits")
        scope = scope_of(request)
        for reader in self.broadcaster.readers.values():
            found = await run_in_threadpool(self._history(reader).alert, alert_id)
            if found is not None and scope.allows(reader.site, found["unit"]):
                return reader, found
        raise Rejected(404, "an alert is kept for 30 days, and there is none with this id")

    def _reader(self, request: Request, site: str = "") -> SiteReader:
        readers = self.broadcaster.readers
        site = site or request.query_params.get("site") or next(iter(readers))
        if site not in readers or not scope_of(request).allows(site, None):
            raise Rejected(404, f"this station has no site {site}")
        return readers[site]

    @staticmethod
    def _history(reader: SiteReader) -> History:
        return History(reader.view.redis, reader.site)


def events_scope(request: Request) -> tuple[Scope, str]:
    """Scope of a request for events, and the id of the last event that the browser received."""
    last = request.headers.get("last-event-id") or request.query_params.get("after", "")
    return scope_of(request), last


def same_origin(request: Request) -> bool:
    """True for a request of the station's own page: a page of another origin can set neither header."""
    origin = request.headers.get("origin")
    own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    return (
        own
        and request.headers.get("x-station") == "1"
        and request.headers.get("content-type", "").startswith("application/json")
    )


def strip_json(window: EcgWindow) -> dict[str, object]:
    """A strip for the page: int16 ``[lead][sample]`` little-endian in base64, and the µV per unit of each lead."""
    return {
        "leads": list(window.leads),
        "sampling_rate": window.fs_hz,
        "n_samples": window.n_samples,
        "lsb_uv": [float(x) for x in window.lsb_uv],
        "samples": base64.b64encode(window.samples.astype("<i2").tobytes()).decode(),
    }


def _whole_number(value: str, highest: int) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:9]) <= highest:
        raise Rejected(422, f"limit is 1 to {highest}")
    return int(value)


def _ms_of(time: str) -> int | None:
    """Milliseconds of an RFC 3339 time; None of ""."""
    if not time:
        return None
    try:
        found = datetime.fromisoformat(time)
        if found.tzinfo is None:
            raise ValueError
        return max(0, ns_of_time(found) // 1_000_000)
    except ValueError as error:
        raise Rejected(422, "from and to are times such as 2026-11-22T22:10:00Z") from error
