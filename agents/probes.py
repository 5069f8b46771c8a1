"""The HTTP port of a worker: metrics for Prometheus, and the two probes of an orchestrator.

========== ==================================================================================
path       answer
========== ==================================================================================
`/metrics` the metrics, in the text format of Prometheus
`/healthz` 200 while the process lives; a worker that is stuck ends by itself (`agents.worker.progress`)
`/readyz`  200 while the worker holds its partitions and has restored them, else 503 with the reason
========== ==================================================================================

The server runs in threads of its own, so that a busy event loop does not delay a probe.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0  # of one connection: without it a client that sends nothing holds a thread for ever
TEXT = "text/plain; charset=utf-8"


def serve_probes(host: str, port: int, registry: CollectorRegistry, unready: Callable[[], str]) -> ThreadingHTTPServer:
    """Serve metrics and probes from a thread.

    Parameters
    ----------
    host : str
    port : int
        0: any free one (``server_port`` of the result).
    registry : CollectorRegistry
    unready : callable
        Why the worker is not ready; empty where it is.

    Returns
    -------
    ThreadingHTTPServer
        ``shutdown`` and ``server_close`` end it.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/healthz":
                self._answer(HTTPStatus.OK, TEXT, b"ok\n")
            elif path == "/readyz":
                reason = unready()
                status = HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK
                self._answer(status, TEXT, f"{reason or 'ready'}\n".encode())
            elif path in ("/", "/metrics"):
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
            else:
                self._answer(HTTPStatus.NOT_FOUND, TEXT, b"/metrics, /healthz or /readyz\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return server
