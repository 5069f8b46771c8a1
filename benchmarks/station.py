"""The station page under load: frames a second and memory with many beds, in Chromium without a GPU.

python -m benchmarks.station --beds 64 --minutes 10

A Redis, a station and a publisher's place (vitals each second of each bed, an alarm each two seconds that comes, is
interpreted and goes) run on this machine beside the browser. Output: a row for benchmarks/station.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from redis import RedisError

from deploy.local import LocalRedis
from tests.station.conftest import CHROMIUM_ARGUMENTS, Station
from tests.station.ward import WardInRedis

FRAMES = """(seconds) => new Promise((resolve) => {
  const began = performance.now();
  const gaps = [];
  let before = began;
  const frame = (now) => {
    gaps.push(now - before);
    before = now;
    if (now - began < seconds * 1000) requestAnimationFrame(frame);
    else resolve(gaps.slice(1));
  };
  requestAnimationFrame(frame);
})"""
SAMPLE_S = 10.0
ALARM_S = 2.0


def heap_mb(session: Any) -> float:
    """JavaScript memory after a collection, MB."""
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def alarms(ward: WardInRedis, beds: list[str], ended: threading.Event, raised: list[str]) -> None:
    """Alarms that come, and go after ten more have come; a write that fails on a busy machine is left out."""
    open_alerts = []
    k = 0
    while not ended.wait(ALARM_S):
        k += 1
        priority, bed = ("PH", "PM", "PL")[k % 3], beds[k % len(beds)]
        with suppress(RedisError):
            open_alerts.append(ward.other(f"VTACH{k}", "Ventricular tachycardia", priority, -k, bed_stream=bed))
            raised.append(bed)
            if len(open_alerts) > 10:
                ward.change(open_alerts.pop(0), state="off", phase="end", sounding=False)


def main() -> None:
    """Measure, and print one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beds", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=10.0)
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    beds = [f"icu-{1 + k // 16}/{1 + k % 16}" for k in range(asked.beds)]
    with tempfile.TemporaryDirectory() as folder, LocalRedis(Path(folder)) as server:
        station, ward, ended = Station(server.url), WardInRedis(server.url), threading.Event()
        ward.beds(beds)
        raised: list[str] = []
        thread = threading.Thread(target=alarms, args=(ward, beds, ended, raised), daemon=True)
        with ward.vitals_every_second(beds), sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
            page = browser.new_page(viewport={"width": 1920, "height": 1080})
            page.set_default_timeout(180_000)
            page.goto(f"{station.url}/?view=wall")
            page.locator(".bed").nth(asked.beds - 1).wait_for()
            page.locator("h1").click()
            thread.start()
            session = page.context.new_cdp_session(page)
            time.sleep(SAMPLE_S)
            heaps, gaps, began = [heap_mb(session)], [], time.monotonic()
            while time.monotonic() - began < asked.minutes * 60:
                gaps += page.evaluate(FRAMES, SAMPLE_S)
                heaps.append(heap_mb(session))
            ended.set()
            thread.join()
            browser.close()
        station.stop()
    frames = 1000 / statistics.fmean(gaps)
    slow = sorted(gaps)[int(0.99 * len(gaps))]
    growth = (heaps[-1] - heaps[len(heaps) // 2]) / max(1e-9, (len(heaps) - 1 - len(heaps) // 2) * SAMPLE_S / 60)
    row = {
        "beds": asked.beds, "minutes": asked.minutes, "alarms": len(raised),
        "frames_per_s": round(frames, 1), "p99_frame_ms": round(slow, 1),
        "heap_first_mb": round(heaps[0], 1), "heap_last_mb": round(heaps[-1], 1), "growth_mb_per_min": round(growth, 3),
    }  # fmt: skip
    print(json.dumps(row))


if __name__ == "__main__":
    main()
