"""The nurse station's web server: the page, server-sent events, and the API.

======================= ======= =========================================================================
path                    method  answer
======================= ======= =========================================================================
`/`, `/page/…`          GET     the page
`/report`               GET     one alert on one page of paper; query ``id``
`/events`               GET     server-sent events (`station.broadcaster`)
`/api/login`, `…logout`         login (`station.access`)
`/api/…`                        JSON (`station.api`)
`/healthz`, `/readyz`   GET     200: the server lives; it serves the page, also while Redis is lost
======================= ======= =========================================================================

Every request passes `station.door` first (host, rate, login, size of the body); docs/security.md says how people log
in and what their roles allow. The page loads nothing from another origin.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from station.access import StationAccess, body_rejected
from station.actions import LimitTable, RejectedAction
from station.api import Api, Rejected, events_scope, same_origin
from station.broadcaster import EventBroadcaster
from station.connections import guarded_protocol
from station.door import BodyRejected
from streams.redis_access import RedisAccess

PAGE = Path(__file__).parent / "page"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "worker-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


def create_app(
    address: RedisAccess | str,
    sites: str | Sequence[str],
    access: StationAccess | None = None,
    *,
    limits: LimitTable | None = None,
) -> Starlette:
    """The station as an ASGI application.

    Parameters
    ----------
    address : RedisAccess or str
        Redis or Valkey.
    sites : str or sequence of str
        The sites that it displays; the first one is meant where a request names none.
    access : StationAccess, optional
        Who may reach the station; without it everybody on its own machine.
    limits : mapping, optional
        Default and bounds of each limit that can be set at the page; without it none can.
    """
    names = (sites,) if isinstance(sites, str) else tuple(sites)
    broadcaster = EventBroadcaster(address, names)
    api = Api(broadcaster, limits or {})
    access = access or StationAccess()

    def first_redis() -> Redis:
        return next(iter(broadcaster.readers.values())).view.redis

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await broadcaster.start()
        yield
        await broadcaster.stop()

    async def page(_: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def report(_: Request) -> Response:
        return FileResponse(PAGE / "report.html")

    async def events(request: Request) -> Response:
        stream = broadcaster.events(*events_scope(request))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> Response:
        # 200 without Redis too: a load balancer that took every station away would leave the nurses a dead page,
        # where this one displays that the connection is lost, and alarms.
        lost = broadcaster.redis_lost
        return PlainTextResponse(f"the page is served; Redis is lost ({lost})\n" if lost else "ok\n")

    async def no_redis(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": f"the alert store is not reachable ({type(error).__name__})"}, status_code=503)

    async def rejected(_: Request, error: Exception) -> Response:
        assert isinstance(error, Rejected)
        return JSONResponse({"error": error.reason}, status_code=error.status)

    async def action_rejected(_: Request, error: Exception) -> Response:
        assert isinstance(error, RejectedAction)
        return JSONResponse(error.answer, status_code=error.status)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/report", report),
            Mount("/page", StaticFiles(directory=PAGE)),
            Route("/events", events),
            *api.routes(),
            *access.routes(first_redis, names, same_origin),
            Route("/healthz", alive),
            Route("/readyz", ready),
        ],
        middleware=[Middleware(_SecurityHeaders), access.middleware(first_redis, names)],
        exception_handlers={
            RedisError: no_redis,
            OSError: no_redis,
            Rejected: rejected,
            RejectedAction: action_rejected,
            BodyRejected: body_rejected,
        },
        lifespan=lifespan,
    )


class _SecurityHeaders(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def serve(
    address: RedisAccess,
    sites: Sequence[str],
    host: str,
    port: int,
    access: StationAccess,
    *,
    limits: LimitTable | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; prints the address on standard error."""
    import uvicorn

    config = uvicorn.Config(
        create_app(address, sites, access, limits=limits),
        http=guarded_protocol(access.connections),
        proxy_headers=False,  # the door itself decides which address is a proxy
        server_header=False,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    bound_host, bound_port = listener.getsockname()[:2]
    logging.getLogger(__name__).info("listening")
    print(f"station http://{bound_host}:{bound_port}", file=sys.stderr, flush=True)
    server.run(sockets=[listener])
