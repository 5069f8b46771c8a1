"""A running station over a real Redis, and one Chromium for all tests where the machine has it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn

from deploy.limit_table import limit_table
from station.access import StationAccess
from station.connections import HEADER_S, guarded_protocol
from station.server import create_app
from streams.redis_access import RedisAccess
from tests.station.ward import WardInRedis

STARTED_S = 60.0
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=document-user-activation-required",
]  # fmt: skip
DESK = {"width": 1440, "height": 900}


class Station:
    """The station's server in a thread of its own; it can be stopped and started again on its port."""

    def __init__(
        self,
        redis_url: RedisAccess | str,
        sites: tuple[str, ...] = ("main",),
        access: StationAccess | None = None,
        header_s: float = HEADER_S,
    ) -> None:
        self.redis_url, self.sites, self.header_s = redis_url, sites, header_s
        self.access = access or StationAccess()
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        app = create_app(self.redis_url, self.sites, self.access, limits=limit_table())
        protocol = guarded_protocol(self.access.connections, self.header_s)
        config = uvicorn.Config(
            app, port=self.port, log_level="warning", timeout_graceful_shutdown=1, http=protocol, proxy_headers=False
        )
        self._listener = config.bind_socket()
        self.port = self._listener.getsockname()[1]
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + STARTED_S
        while not self._server.started:
            assert time.monotonic() < deadline, f"the station has not started within {STARTED_S:g} s"
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()


@contextmanager
def serving(
    redis_url: RedisAccess | str, access: StationAccess | None = None, header_s: float = HEADER_S
) -> Iterator[str]:
    """A station in a thread of this process; its address."""
    running = Station(redis_url, access=access, header_s=header_s)
    try:
        yield running.url
    finally:
        running.stop()


@pytest.fixture
def ward(redis_url: str) -> WardInRedis:
    return WardInRedis(redis_url)


@pytest.fixture
def station(redis_url: str) -> Iterator[Station]:
    """A station of its own for the test."""
    running = Station(redis_url)
    yield running
    running.stop()


@pytest.fixture
def station_url(station: Station) -> str:
    return station.url


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of Chromium; the test is skipped, with the reason, where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Any]:
    """One Chromium for the tests of a file; each test has browser contexts of its own.

    Not for the session: Playwright's loop runs as long as it is open, and then no other test can run one of its own.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path, headless=True, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium: Any, station: Station) -> Iterator[Callable[..., Any]]:
    """Opens the station's page in a browser context of its own; an error in the page's own code fails the test.

    Arguments: the path with its query, options of the context, or ``context``: that of another page, for one more tab.
    """
    errors: list[str] = []
    with ExitStack() as opened:

        def open_page(path: str = "/", *, context: Any = None, **options: Any) -> Any:
            if context is None:
                context = chromium.new_context(**{"viewport": DESK, "color_scheme": "dark", **options})
                opened.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{station.url}{path}")
            return page

        yield open_page
    assert errors == []


@pytest.fixture
def page(new_page: Callable[..., Any]) -> Any:
    """The station's page at a desk."""
    return new_page()
