"""The nurse station's web server: the page, server-sent events, strips, and the inbox of actions.

======================= ======= =========================================================================
path                    method  answer
======================= ======= =========================================================================
`/`, `/page/…`          GET     the page
`/events`               GET     server-sent events (`station.broadcaster`)
`/api/strips/<id>`      GET     `strip_json` of the alert's flagged segment
`/api/actions`          POST    202 ``{id, by, at}``: the action is in the Redis inbox
`/api/login`, `…logout` GET     `station.access`
`/healthz`, `/readyz`   GET     200: the server lives; it serves the page, also while Redis is lost
======================= ======= =========================================================================

An error is ``{error}`` with the reason: 401, 403, 404, 408, 413, 422, 429, or 503 while Redis is lost. Every request
passes `station.door` first (host, rate, login); docs/security.md says how people log in and what their roles allow. An
action is `by` who logged in, `at` the server's time, and in the audit. Actions are accepted from the station's own page
only. The page loads nothing from another origin.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from station.access import StationAccess, add_quietly, body_rejected, entry_of, person_of, refusal
from station.broadcaster import EventBroadcaster
from station.connections import guarded_protocol
from station.door import BodyRejected
from station.people import ROLE_OF_ACTION
from streams.action_inbox import submit_action
from streams.bed import Action
from streams.document import rfc3339
from streams.redis_access import RedisAccess
from streams.wire import EcgWindow

PAGE = Path(__file__).parent / "page"
STRIP_KEPT_H = 72
ALERT_ID = re.compile(r"[0-9a-f]{32}")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


def create_app(address: RedisAccess | str, site: str, access: StationAccess | None = None) -> Starlette:
    """The station as an ASGI application; ``access`` says who may reach it."""
    broadcaster = EventBroadcaster(address, site)
    access = access or StationAccess()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await broadcaster.start()
        yield
        await broadcaster.stop()

    async def page(_: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def events(_: Request) -> Response:
        return StreamingResponse(
            broadcaster.events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def strip(request: Request) -> Response:
        alert_id = request.path_params["alert_id"]
        if not ALERT_ID.fullmatch(alert_id):
            return _rejected(404, "an alert id has 32 hex digits")
        window = await run_in_threadpool(broadcaster.view.strip, alert_id)
        if window is None:
            return _rejected(404, f"a strip is kept for {STRIP_KEPT_H} h, and not every alert has one")
        return JSONResponse(strip_json(window))

    async def actions(request: Request) -> Response:
        if not same_origin(request):
            return _rejected(403, "only the station's own page may send actions")
        try:
            doc = json.loads(await request.body())
            if not isinstance(doc, dict) or doc.get("action") not in ROLE_OF_ACTION:
                return _rejected(422, f"action is one of {', '.join(ROLE_OF_ACTION)}")
            by = person_of(request).name or str(doc.get("by", "")).strip()
            action = Action.model_validate(doc | {"at": datetime.now(UTC), "by": by})
        except (ValueError, ValidationError) as error:
            return _rejected(422, _reason(error))
        bed = await run_in_threadpool(broadcaster.view.bed, action.bed_stream)
        unit = "" if bed is None else bed.bed.unit
        entry = entry_of(request, unit)
        if (why := refusal(request, action.action, unit)) is not None:
            await add_quietly(broadcaster.view.redis, site, replace(entry, event="refused", reason=why).about(action))
            return _rejected(403, why)
        await run_in_threadpool(submit_action, broadcaster.view.redis, site, action, entry)
        return JSONResponse({"id": action.id, "by": action.by, "at": rfc3339(action.at)}, status_code=202)

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> Response:
        # 200 without Redis too: a load balancer that took every station away would leave the nurses a dead page,
        # where this one displays that the connection is lost, and alarms.
        lost = broadcaster.redis_lost
        return PlainTextResponse(f"the page is served; Redis is lost ({lost})\n" if lost else "ok\n")

    async def no_redis(_: Request, error: Exception) -> Response:
        return _rejected(503, f"the alert store is not reachable ({type(error).__name__})")

    return Starlette(
        routes=[
            Route("/", page),
            Mount("/page", StaticFiles(directory=PAGE)),
            Route("/events", events),
            Route("/api/strips/{alert_id}", strip),
            Route("/api/actions", actions, methods=["POST"]),
            *access.routes(lambda: broadcaster.view.redis, [site], same_origin),
            Route("/healthz", alive),
            Route("/readyz", ready),
        ],
        middleware=[Middleware(_SecurityHeaders), access.middleware(lambda: broadcaster.view.redis, [site])],
        exception_handlers={RedisError: no_redis, OSError: no_redis, BodyRejected: body_rejected},
        lifespan=lifespan,
    )


class _SecurityHeaders(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


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


def _rejected(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)


def serve(address: RedisAccess, site: str, host: str, port: int, access: StationAccess) -> None:
    """Serve until SIGTERM or Ctrl-C; prints the address on standard error."""
    import uvicorn

    config = uvicorn.Config(
        create_app(address, site, access),
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
