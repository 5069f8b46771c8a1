"""Screenshots for the README: desk, alert, one bed, wall and phone, of a running demo.

python -m tests.station.picture docs
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.station.conftest import CHROMIUM_ARGUMENTS

ALARM_MS = 120_000  # the demo's extreme bradycardia and its interpretation come within 30 s on idle cores
DESK = {"width": 1600, "height": 1000}
WALL = {"width": 1920, "height": 1080}
PHONE = {"width": 390, "height": 844}


@contextmanager
def demo(beds: int) -> Iterator[str]:
    """A running demo; the station's address."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        command = [
            sys.executable,
            "-m",
            "deploy.cli",
            "demo",
            "--beds",
            str(beds),
            "--seconds",
            "110",
            "--ready",
            str(ready),
        ]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not ready.is_file():
                if running.poll() is not None:
                    raise SystemExit("the demo ended")
                time.sleep(0.2)
            yield json.loads(ready.read_text())["station"]
        finally:
            running.terminate()
            running.wait()


def main(folder: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)

        def opened(url: str, viewport: dict[str, int], **options: Any) -> Any:
            page = browser.new_context(viewport=viewport, color_scheme="dark", **options).new_page()
            page.goto(url)
            page.locator("#clock").click() if page.locator("#clock").is_visible() else page.locator("h1").click()
            return page

        with demo(8) as url:
            page = opened(url, DESK)
            wall = opened(f"{url}/?view=wall", WALL)
            phone = opened(url, PHONE, device_scale_factor=2)
            page.fill("#who", "rn-12")
            card = page.locator(".alert[data-code=EXTREME_BRADY]").first
            card.wait_for(timeout=ALARM_MS)
            page.wait_for_timeout(2000)
            page.screenshot(path=folder / "station.png")
            wall.screenshot(path=folder / "station-wall.png")
            phone.screenshot(path=folder / "station-phone.png")
            card.locator(".text").wait_for(timeout=ALARM_MS)
            card.locator(".head").click()
            page.locator("#strip-canvas[data-strip=true]").wait_for()
            page.locator(".citations .cite", has_text="[2]").first.click()
            page.mouse.move(4, 4)
            page.wait_for_timeout(500)
            page.screenshot(path=folder / "station-alert.png")
            page.keyboard.press("Escape")
            page.locator(".bed .opener").first.click()
            page.locator(".bed-alarms button").first.wait_for()
            page.wait_for_timeout(1500)
            page.screenshot(path=folder / "station-bed.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
