"""Toxiproxy: a network that stalls, cuts, slows and resets, between a client and a server of the tests."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any, Self

from deploy.local import LocalServer, free_port

PROGRAM = "toxiproxy-server"


class Toxiproxy(LocalServer):
    """Toxiproxy in front of servers; `route` names them before the start.

    Parameters
    ----------
    program : Path
        Of Toxiproxy.
    folder : Path
        For its log.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        port = free_port()
        super().__init__(
            "toxiproxy", ["env", "LOG_LEVEL=warn", str(program), "-host", "127.0.0.1", "-port", str(port)], port, folder
        )
        self._routes: dict[str, dict[str, Any]] = {}

    def route(self, name: str, upstream: str, listen_port: int | None = None) -> str:
        """The address at which clients reach the server at ``upstream``."""
        listen = f"127.0.0.1:{free_port() if listen_port is None else listen_port}"
        self._routes[name] = {"name": name, "listen": listen, "upstream": upstream}
        return listen

    def start(self) -> Self:
        super().start()
        for body in self._routes.values():
            self._call("/proxies", body)
        return self

    def add(self, name: str, toxic: str, **attributes: int) -> None:
        """Let the network to a server misbehave, in both directions."""
        for stream in ("upstream", "downstream"):
            body = {"name": f"{toxic}-{stream}", "type": toxic, "stream": stream, "attributes": attributes}
            self._call(f"/proxies/{name}/toxics", body)

    def clear(self) -> None:
        """Let all networks be."""
        self._call("/reset", {})

    def _answers(self) -> bool:
        try:
            self._call("/version", None)
            return True
        except OSError:
            return False

    def _call(self, path: str, body: dict[str, Any] | None) -> None:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://{self.address}{path}", data, timeout=5.0) as answer:
            answer.read()
