"""A running station over a real Redis, and Chromium where the machine has it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from station.access import StationAccess
from station.connections import HEADER_S, guarded_protocol
from station.server import create_app
from streams.redis_access import RedisAccess
from tests.station.ward import WardInRedis

STARTED_S = 60.0
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=user-gesture-required",
]  # fmt: skip


@pytest.fixture
def ward(redis_url: str) -> WardInRedis:
    return WardInRedis(redis_url)


@contextmanager
def serving(
    redis_url: RedisAccess | str, access: StationAccess | None = None, header_s: float = HEADER_S
) -> Iterator[str]:
    """A station in a thread of this process; its address."""
    access = access or StationAccess()
    protocol = guarded_protocol(access.connections, header_s)
    app = create_app(redis_url, "main", access)
    config = uvicorn.Config(
        app, port=0, log_level="warning", timeout_graceful_shutdown=1, http=protocol, proxy_headers=False
    )
    listener = config.bind_socket()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + STARTED_S
    while not server.started:
        assert time.monotonic() < deadline, f"the station has not started within {STARTED_S:g} s"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def station_url(redis_url: str) -> Iterator[str]:
    """A station of its own for the test, on its own machine: nobody logs in."""
    with serving(redis_url) as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; the test is skipped, with the reason, where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")


@pytest.fixture
def page(chromium: str, station_url: str, tmp_path: Path) -> Iterator[Any]:
    """The station's page in a fresh Chromium; fails the test on an error in the page's own code."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=chromium, headless=True, args=CHROMIUM_ARGUMENTS,
            viewport={"width": 1440, "height": 900},
        )  # fmt: skip
        opened = browser.pages[0]
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.goto(station_url)
        yield opened
        browser.close()
    assert errors == []
