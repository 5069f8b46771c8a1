"""The station's door: host, rate, login and body of each request, before anything else looks at it.

In: an ASGI request. Out: the app's answer, with ``request.state`` as below; or ``{error}``:

====== =====================================================================================
401    nobody is logged in, or their name is not accepted; ``auth`` says how people log in
403    the request is for a host that this station is not
408    the body did not arrive within `BODY_S`
413    the body is larger than an action; it is not read to its end, and the connection is closed
429    too many requests, actions or event streams of one person or address
====== =====================================================================================

`/healthz` and `/readyz` answer everybody: they hold nothing.

``request.state`` has ``person`` (`station.people.Person`), ``user`` (their name; None where nobody logs in), ``roles``
(the roles they have somewhere) and ``places`` (what they may see: ``<site>/<unit>``; None: everything).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from station.people import Doorkeeper, NotLoggedIn, Person
from streams.audit import AuditEntry

PROBES = frozenset({"/healthz", "/readyz"})
LOGIN, LOGOUT, FEED, ACTIONS = "/api/login", "/api/logout", "/events", "/api/actions"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
WILDCARDS = frozenset({"0.0.0.0", "::", ""})
MAX_BODY = 8192  # bytes; an action's args have 4,096 at most
BODY_S = 10.0  # without it a request that is half sent stays open for ever
MINUTE_S = 60.0
MAX_KNOWN = 10_000  # people and addresses whose rate is remembered
REFUSALS_A_MINUTE = 60  # in the audit: more would fill it with one attacker's requests

Audit = Callable[[AuditEntry], Awaitable[None]]


class BodyRejected(Exception):  # noqa: N818  (answered with its status)
    """The body of a request is too large or too late."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class DoorLimits:
    """Limits of one person or address: requests and actions a minute, event streams at a time."""

    requests: int = 1200
    actions: int = 60
    feeds: int = 64


def allowed_hosts(listening: str, named: str) -> frozenset[str]:
    """Names of this station in the header ``Host``.

    >>> sorted(allowed_hosts("0.0.0.0", "Ward.example, 10.1.2.3"))
    ['10.1.2.3', '127.0.0.1', '::1', 'localhost', 'ward.example']
    """
    own = frozenset() if listening in WILDCARDS else frozenset({listening.lower()})
    return LOOPBACK | own | {part.strip().lower() for part in named.split(",") if part.strip()}


def host_name(header: str) -> str:
    """Name in a ``Host`` header, without its port.

    >>> host_name("Ward.example:8080"), host_name("[::1]:8080"), host_name("10.1.2.3")
    ('ward.example', '::1', '10.1.2.3')
    """
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].removesuffix(".")


class Rate:
    """Requests of each person or address: as many at once as in a minute, then evenly."""

    def __init__(self, a_minute: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._a_minute, self._monotonic = a_minute, monotonic
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key → what is left, and when

    def wait_s(self, key: str) -> float:
        """Take one; 0 where it may go on, else the seconds until it may."""
        now = self._monotonic()
        left, at = self._left.pop(key, (float(self._a_minute), now))
        left = min(self._a_minute, left + (now - at) * self._a_minute / MINUTE_S)
        taken = left >= 1
        self._left[key] = (left - 1 if taken else left, now)
        while len(self._left) > MAX_KNOWN:
            self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) * MINUTE_S / self._a_minute


@dataclass
class Door:
    """ASGI middleware.

    Parameters
    ----------
    app : ASGI application
    keeper : Doorkeeper
    hosts : frozenset of str
        Of `allowed_hosts`.
    limits : DoorLimits
    sites : sequence of str
        Sites of this station.
    audit : callable
        Adds an entry to the audit.
    """

    app: ASGIApp
    keeper: Doorkeeper
    hosts: frozenset[str]
    limits: DoorLimits
    sites: Sequence[str]
    audit: Audit
    _feeds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._requests, self._actions = Rate(self.limits.requests), Rate(self.limits.actions)
        self._refusals = Rate(REFUSALS_A_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        address = request.client.host if request.client else ""
        if host_name(request.headers.get("host", "")) not in self.hosts:
            await self._refuse(scope, receive, send, 403, "this station has another host name", address)
            return
        try:
            person = self.keeper.person(request)
        except NotLoggedIn as unknown:
            if not self._public(scope):
                if await self._may_go_on(scope, receive, send, address):
                    await self._refuse(scope, receive, send, 401, str(unknown), address)
                return
            person = Person()
        key = f"person {person.name}" if person.name else address
        if not await self._may_go_on(scope, receive, send, key):
            return
        if _too_long(request):
            await self._refuse(scope, receive, send, 413, f"a request has at most {MAX_BODY} bytes", address, person)
            return
        scope.setdefault("state", {}).update(
            person=person, user=person.name or None, roles=frozenset(person.roles.values()),
            places=person.places(self.sites),
        )  # fmt: skip
        if scope["path"] == FEED:
            await self._feed(scope, receive, send, key, person.expires)
        else:
            await self.app(scope, _bounded(receive), send)

    def _public(self, scope: Scope) -> bool:
        """The page itself, which holds no data, and the login; a proxy has its own."""
        path = scope["path"]
        return self.keeper.authentication == "token" and (path in ("/", LOGIN, LOGOUT) or path.startswith("/page/"))

    async def _may_go_on(self, scope: Scope, receive: Receive, send: Send, key: str) -> bool:
        wait_s = self._requests.wait_s(key)
        if not wait_s and scope["path"] in (ACTIONS, LOGIN):
            wait_s = self._actions.wait_s(key)
        if wait_s:
            await self._too_many(scope, receive, send, "too many requests: wait a little", wait_s)
        return not wait_s

    async def _feed(self, scope: Scope, receive: Receive, send: Send, key: str, expires: float | None) -> None:
        if self._feeds[key] >= self.limits.feeds:
            await self._too_many(scope, receive, send, f"{self.limits.feeds} screens are open already", BODY_S)
            return
        self._feeds[key] += 1
        try:
            async with asyncio.timeout(None if expires is None else max(0.0, expires - time.time())):
                await self.app(scope, _bounded(receive), send)
        except TimeoutError:  # the login has ended: so does the event stream
            with contextlib.suppress(RuntimeError):  # the browser has gone
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._feeds[key] -= 1
            if not self._feeds[key]:
                del self._feeds[key]

    async def _too_many(self, scope: Scope, receive: Receive, send: Send, reason: str, wait_s: float) -> None:
        headers = {"Retry-After": str(max(1, round(wait_s)))}
        await JSONResponse({"error": reason}, status_code=429, headers=headers)(scope, receive, send)

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, status: int, reason: str, address: str,
        person: Person | None = None,
    ) -> None:  # fmt: skip
        if scope["method"] == "POST" and not self._refusals.wait_s("all"):
            who = "" if person is None else person.name
            what = f"{status} {scope['path']}: {reason}"
            await self.audit(AuditEntry("refused", who=who, origin=address, reason=what))
        body = {"error": reason} | ({"auth": self.keeper.authentication} if status == 401 else {})
        # The rest of a body that nobody wants is not read: the connection ends.
        await JSONResponse(body, status_code=status, headers={"Connection": "close"})(scope, receive, send)


def _too_long(request: HTTPConnection) -> bool:
    """True for a body that is announced to be larger than allowed."""
    length = request.headers.get("content-length", "0")
    return not length.isdigit() or len(length) > 9 or int(length) > MAX_BODY


def _bounded(receive: Receive) -> Receive:
    """The body of a request, bounded in size and time."""
    deadline = time.monotonic() + BODY_S
    size, whole = 0, False

    async def bounded() -> Message:
        nonlocal size, whole
        if whole:
            return await receive()  # waits for the end of the connection
        try:
            message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise BodyRejected(408, f"the request did not arrive within {BODY_S:g} s") from None
        size += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if size > MAX_BODY:
            raise BodyRejected(413, f"a request has at most {MAX_BODY} bytes")
        return message

    return bounded
