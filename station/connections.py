"""Connections of the station's server: how many are open, and how long a request may take to arrive.

uvicorn has no limit for a request whose header never ends, and its own limit of connections answers each one over it.
Here a connection over the limit is closed at once, and one whose request header is not complete after `HEADER_S`, or
that sends nothing at all, is closed too. An event stream that is open has no limit of time.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_S = 10.0  # a browser sends its header in one packet


def guarded_protocol(limit: int, header_s: float = HEADER_S) -> type[asyncio.Protocol]:
    """The protocol class of one server (uvicorn's setting ``http``) with at most ``limit`` connections."""

    class GuardedProtocol(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limit:
                transport.abort()
                return
            self._await_header()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._header_arrived()
            elif self._late is None and not self.transport.is_closing():
                self._await_header()  # a further request on the same connection has begun

        def connection_lost(self, exc: Exception | None) -> None:
            self._header_arrived()
            super().connection_lost(exc)

        def _await_header(self) -> None:
            self._late = self.loop.call_later(header_s, self._close_late)

        def _header_arrived(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _close_late(self) -> None:
            self._late = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()

    return GuardedProtocol
