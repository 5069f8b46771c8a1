"""Access to one station: its door, its login, and the audit of both, built from the settings by `deploy`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from station.door import LOGIN, LOGOUT, MAX_BODY, BodyRejected, Door, DoorLimits, allowed_hosts
from station.people import COOKIE, NOBODY, Doorkeeper, NotLoggedIn, Person
from streams.audit import AuditEntry, add_entry

log = logging.getLogger(__name__)

SECURE_ELSEWHERE = ("127.0.0.1", "localhost", "[::1]")  # hosts whose cookie may travel without TLS


@dataclass(frozen=True)
class StationAccess:
    """Who may reach a station; the default is a station on its own machine, where nobody logs in.

    Parameters
    ----------
    keeper : Doorkeeper
    hosts : frozenset of str
        Names of this station, of `station.door.allowed_hosts`.
    limits : DoorLimits
    connections : int
        Largest number of open connections.
    """

    keeper: Doorkeeper = field(default_factory=Doorkeeper)
    hosts: frozenset[str] = field(default_factory=lambda: allowed_hosts("127.0.0.1", ""))
    limits: DoorLimits = field(default_factory=DoorLimits)
    connections: int = 512

    def middleware(self, redis: Callable[[], Redis], sites: Sequence[str]) -> Middleware:
        """The door, which writes to the audit of the first site."""

        async def audit(entry: AuditEntry) -> None:
            await add_quietly(redis(), sites[0], entry)

        return Middleware(Door, keeper=self.keeper, hosts=self.hosts, limits=self.limits, sites=sites, audit=audit)

    def routes(
        self, redis: Callable[[], Redis], sites: Sequence[str], own_page: Callable[[Request], bool]
    ) -> list[Route]:
        """``/api/login`` and ``/api/logout``; ``own_page`` is True for a request of the station's own page.

        GET ``/api/login`` says how people log in, who is logged in, and their roles. POST takes ``{token}`` and keeps
        it in a cookie that no script can read.
        """

        async def login(request: Request) -> Response:
            if request.method == "GET":
                return JSONResponse(self._about(person_of(request)))
            if not own_page(request):
                return JSONResponse({"error": "only the station's own page may log people in"}, status_code=403)
            if self.keeper.authentication != "token":
                return JSONResponse({"error": "this station takes no tokens"}, status_code=404)
            try:
                given = await request.json()
                token = str(given["token"]).strip()
                person = self.keeper.of_token(token)
            except (ValueError, KeyError, TypeError, RecursionError):
                return JSONResponse({"error": "the body is {token}"}, status_code=422)
            except NotLoggedIn as unknown:
                entry = AuditEntry("refused", origin=address_of(request), reason=f"401 {LOGIN}: {unknown}")
                await add_quietly(redis(), sites[0], entry)
                return JSONResponse({"error": str(unknown), "auth": "token"}, status_code=401)
            await add_quietly(redis(), sites[0], AuditEntry("login", who=person.name, origin=address_of(request)))
            answer = JSONResponse(self._about(person))
            secure = request.headers.get("host", "").rsplit(":", 1)[0] not in SECURE_ELSEWHERE
            answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, expires=_gmt(person))
            return answer

        async def logout(request: Request) -> Response:
            if not own_page(request):
                return JSONResponse({"error": "only the station's own page may log people out"}, status_code=403)
            who = person_of(request).name
            if who:
                await add_quietly(redis(), sites[0], AuditEntry("logout", who=who, origin=address_of(request)))
            answer = JSONResponse(self._about(Person()))
            answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
            return answer

        return [Route(LOGIN, login, methods=["GET", "POST"]), Route(LOGOUT, logout, methods=["POST"])]

    def _about(self, person: Person) -> dict[str, Any]:
        return {
            "auth": self.keeper.authentication,
            "user": person.name or None,
            "roles": dict(person.roles),
            "expires": person.expires,
        }


def person_of(request: Request) -> Person:
    """The person of a request that came through the door."""
    found = getattr(request.state, "person", NOBODY)
    assert isinstance(found, Person)
    return found


def address_of(request: Request) -> str:
    """Address of the browser, or of the proxy."""
    return request.client.host if request.client else ""


def entry_of(request: Request, unit: str = "", event: str = "action") -> AuditEntry:
    """The audit entry of a request about a unit; `AuditEntry.about` adds the action."""
    person = person_of(request)
    return AuditEntry(event, who=person.name, role=person.role(unit) or "", origin=address_of(request))


def refusal(request: Request, action: str, unit: str) -> str | None:
    """Why the person of a request may not do an action in a unit; None where they may."""
    person = person_of(request)
    if person.may(action, unit):
        return None
    role = person.role(unit) or "none"
    return f"{person.name or 'nobody'} has the role {role} in {unit or 'no unit'}: too little for {action}"


async def body_rejected(_: Request, error: Exception) -> Response:
    """Answer of a body that is too large or too late: the rest is not read, and the connection ends."""
    assert isinstance(error, BodyRejected)
    return JSONResponse({"error": error.reason}, status_code=error.status, headers={"Connection": "close"})


async def add_quietly(redis: Redis, site: str, entry: AuditEntry) -> None:
    """Add an entry that no action waits for; without Redis it is a line in the log."""
    try:
        await run_in_threadpool(add_entry, redis, site, entry)
    except (RedisError, OSError) as error:
        log.error("audit without Redis (%s): %s", type(error).__name__, entry.as_fields())


def _gmt(person: Person) -> str | None:
    if person.expires is None:
        return None
    from email.utils import formatdate

    return formatdate(person.expires, usegmt=True)


__all__ = [
    "MAX_BODY",
    "StationAccess",
    "add_quietly",
    "address_of",
    "body_rejected",
    "entry_of",
    "person_of",
    "refusal",
]
