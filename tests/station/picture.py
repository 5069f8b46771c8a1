"""Screenshot for the README: the demo, its extreme bradycardia with the interpretation, and a cited PR interval.

python -m tests.station.picture docs/station.png
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.station.conftest import CHROMIUM_ARGUMENTS

ALARM_MS = 120_000  # the demo's extreme bradycardia and its interpretation come within 30 s on idle cores


def main(path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium on this machine (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        demo = subprocess.Popen([sys.executable, "-m", "deploy.cli", "demo", "--seconds", "60", "--ready", str(ready)])
        while not ready.is_file():
            if demo.poll() is not None:
                raise SystemExit("the demo ended")
            time.sleep(0.2)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.goto(json.loads(ready.read_text())["station"])
            page.fill("#who", "rn-12")
            page.locator("#sound").click()
            card = page.locator(".alert[data-code=EXTREME_BRADY]").first
            card.locator(".text").wait_for(timeout=ALARM_MS)
            card.locator(".head").click()
            card.locator(".citations .cite", has_text="PR ").first.click()
            page.locator("#strip-canvas[data-span*='-']").wait_for()
            card.evaluate("card => card.scrollIntoView({block: 'start'})")
            page.screenshot(path=path)
            browser.close()
        demo.terminate()
        demo.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
