"""Takes the README's picture: the demo, its slow heart with what GEM says of it, a cited PR interval on the strip.

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

ALARMED_S = 26  # from the first sample: the slow heart, its alarm, its interpretation


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
        time.sleep(ALARMED_S)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.goto(json.loads(ready.read_text())["station"])
            page.fill("#who", "rn-12")
            page.locator("#sound").click()
            page.wait_for_timeout(7000)  # the live traces fill
            card = page.locator(".alert[data-code=EXTREME_BRADY]").first
            card.locator(".text").wait_for(timeout=20_000)
            card.locator(".head").click()
            card.locator(".citations .cite", has_text="PR ").first.click()
            page.wait_for_timeout(2000)
            card.evaluate("card => card.scrollIntoView({block: 'start'})")
            page.wait_for_timeout(500)
            page.screenshot(path=path)
            browser.close()
        demo.terminate()
        demo.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
