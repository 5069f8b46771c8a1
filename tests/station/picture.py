"""Screenshots for the README: desk, alert, one bed, wall and phone.

python -m tests.station.picture docs

The beds are the demo's signals (`deploy.ward`); the alerts are those that the product gives for them (`interpret`),
dated to now. They reach a real Redis by the publisher's script, and the station's own server shows them.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import redis
from playwright.sync_api import sync_playwright

from agents.settings import Settings
from deploy.local import LocalRedis
from deploy.model_loading import load_reader
from deploy.record_alert import window_alert
from deploy.ward import WardBed, make_ward
from models.arrhythmia.limits import Limits
from models.beats.detector import find_beats
from models.ecg import Ecg
from streams.alert import Alert, alert_id
from streams.alert_bus import vitals_entry
from streams.bed import Vitals
from streams.document import ns_of_time
from tests.station.conftest import CHROMIUM_ARGUMENTS, Station
from tests.station.ward import WardInRedis
from verification import read_strip, verify

N_BEDS = 16
WINDOWS = {"bradycardia": 16.0, "tachycardia": 17.0, "asystole": 5.0, "long QT": 60.0}  # start of the alarm's window, s
LIVE_S = {"asystole": 5.0}  # from there to the live trace: the heart has stopped; 2 s for the others
SINCE_S = {"bradycardia": 25, "tachycardia": 35, "asystole": 8, "long QT": 100}  # from the detection to the picture
DESK, WALL, PHONE = {"width": 1600, "height": 1000}, {"width": 1920, "height": 1080}, {"width": 390, "height": 844}
SHOWN = "icu-1/03"  # the one bed that is shown by itself
TREND_S = 60.0  # between two points of the day's trend


class PicturedBed:
    """A bed of the demo: its signal, heart rate by time, and its alert."""

    def __init__(self, bed: WardBed) -> None:
        self.bed = bed
        lead = "II" if "II" in bed.ecg.leads else bed.ecg.leads[0]
        self.lead_mv, self.fs_hz = bed.ecg.lead(lead), bed.ecg.fs_hz
        self.r_s = np.array([beat.sample for beat in find_beats(bed.ecg)]) / self.fs_hz
        lasting = bed.what != "asystole" or bed.unit == "icu-1"  # the other one stays before its asystole
        self.from_s = WINDOWS.get(bed.what, 0.0) if lasting else 0.0
        self.loop_s = {"asystole": 8, "leads off": 12, "silent feed": 14}.get(bed.what, round(bed.ecg.duration_s) - 1)

    def second(self, k: int, now: datetime) -> Vitals:
        """Vitals of the k-th second: around the alarm's window where there is one."""
        at_s = (self.from_s + LIVE_S.get(self.bed.what, 2.0) + k % 8) if self.from_s else k % self.loop_s
        n = int(self.fs_hz)
        samples = self.lead_mv[round(at_s * n) : round(at_s * n) + n]
        mv = np.interp(np.arange(125) / 125, np.arange(len(samples)) / n, samples).round(3).tolist()
        beats = self.r_s[(self.r_s > at_s - 6) & (self.r_s <= max(at_s + 1, 7))]
        hr = round(60 / float(np.median(np.diff(beats)))) if len(beats) > 2 else 0
        hr = 0 if self.from_s and self.bed.what == "asystole" else hr
        doc = {
            "bed_stream": self.bed.bed_stream, "at": now, "judged_at": now - timedelta(seconds=1), "hr": hr,
            "rhythm": "regular rhythm" if hr else "asystole", "pvc_per_min": 0,
            "st": {"II": 0.02 + 0.01 * np.sin(k / 9), "V5": -0.03 + 0.01 * np.cos(k / 7)},
            "wave": {"lead": "II", "sampling_rate": 125.0, "start": now - timedelta(seconds=1), "mv": mv},
        }  # fmt: skip
        return Vitals.model_validate(doc)


def dated(alert: Alert, bed: WardBed, shift: timedelta, **changes: object) -> Alert:
    """The alert of a record as that of a bed, ``shift`` later."""

    def moved(value: Any) -> Any:
        if isinstance(value, datetime):
            return value + shift
        if isinstance(value, dict):
            return {name: moved(item) for name, item in value.items()}
        return [moved(item) for item in value] if isinstance(value, list) else value

    doc = moved(alert.model_dump())
    identity = alert_id(bed.bed_stream, alert.code, ns_of_time(doc["onset"]))
    place = {"id": identity, "bed_stream": bed.bed_stream, "unit": bed.unit, "bed": bed.bed, "patient": bed.patient}
    return Alert.model_validate(doc | place | {"sounded": True, "sounding": True} | changes)


def publish_alerts(ward: WardInRedis, beds: list[PicturedBed]) -> None:
    """An alert of each bed with a window: the bradycardia acknowledged, the tachycardia over."""
    read = load_reader(None, False)
    for pictured in beds:
        bed = pictured.bed
        if bed.what not in WINDOWS:
            continue
        found = window_alert(bed.ecg, WINDOWS[bed.what], Limits(), Settings().rhythm, read)
        if found.code == "INTERPRETATION":
            continue
        detected = datetime.now(UTC) - timedelta(seconds=SINCE_S[bed.what])
        alert = dated(found, bed, detected - found.detected, end=None)
        if bed.what == "bradycardia" and bed.unit == "icu-1":
            who = {"at": detected + timedelta(seconds=9), "by": "rn-07"}
            alert = dated(alert, bed, timedelta(0), state="acknowledged", sounding=False, acknowledged=who)
        elif bed.what == "tachycardia":
            alert = dated(alert, bed, timedelta(0), state="latched", end=detected + timedelta(seconds=26))
        elif bed.what == "asystole" and bed.unit != "icu-1":
            continue
        ward.publish_alert(alert)
        window = bed.ecg.slice(
            round(WINDOWS[bed.what] * bed.ecg.fs_hz), round((WINDOWS[bed.what] + 10) * bed.ecg.fs_hz)
        )
        ward.strip(alert, Ecg(bed.ecg.leads, bed.ecg.fs_hz, window.mv))
        check(ward, alert)


def check(ward: WardInRedis, alert: Alert) -> None:
    """A picture shows an alert as it is in Redis, and that one is verified from its strip."""
    with redis.Redis.from_url(ward.url) as client:
        strip = client.get(ward.keys.strip(alert.id))
    assert isinstance(strip, bytes)
    result = verify(json.loads(alert.to_json()), read_strip(strip))
    if not result["ok"]:
        raise SystemExit(f"{alert.code} of {alert.bed_stream} is not right: {result}")


def publish_day(ward: WardInRedis, pictured: PicturedBed) -> None:
    """The trend of a day of one bed, by its vitals: the publisher's script makes the points."""
    now = datetime.now(UTC)
    entries = []
    for k in range(int(86_400 / TREND_S)):
        hr = 66 + 9 * np.sin(k / 110) + 5 * np.sin(k / 23) + 2 * np.sin(k / 3.1)
        changes = {"hr": round(float(hr), 1), "pvc_per_min": max(0, round(4 * np.sin(k / 170))), "wave": None}
        vitals = pictured.second(k, now - timedelta(seconds=86_400 - k * TREND_S)).changed(**changes)
        entries.append(vitals_entry(ward.keys, vitals, "ecg.vitals/0", next(ward._offset)))
    ward.publish(*entries)


def live(ward: WardInRedis, beds: list[PicturedBed], ended: threading.Event) -> None:
    k = 0
    while not ended.wait(max(0.0, 1.0 - time.time() % 1.0)):
        now = datetime.now(UTC)
        ward.publish(*(vitals_entry(ward.keys, bed.second(k, now), "ecg.vitals/0", next(ward._offset)) for bed in beds))
        k += 1


def main(folder: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium on this machine (Debian: apt-get install chromium)")
    beds = [PicturedBed(bed) for bed in make_ward(N_BEDS)]
    with tempfile.TemporaryDirectory() as place, LocalRedis(Path(place)) as server:
        station, ward, ended = Station(server.url), WardInRedis(server.url), threading.Event()
        for pictured in beds:
            ward.bed(pictured.bed.bed_stream, patient=pictured.bed.patient)
        publish_day(ward, next(pictured for pictured in beds if pictured.bed.bed_stream == SHOWN))
        publish_alerts(ward, beds)
        thread = threading.Thread(target=live, args=(ward, beds, ended), daemon=True)
        thread.start()
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
            take(browser, station.url, folder)
            browser.close()
        ended.set()
        thread.join()
        station.stop()


def take(browser: Any, url: str, folder: Path) -> None:
    def opened(path: str, viewport: dict[str, int], **options: Any) -> Any:
        page = browser.new_context(viewport=viewport, color_scheme="dark", **options).new_page()
        page.set_default_timeout(120_000)
        page.goto(url + path)
        page.locator(".bed").nth(N_BEDS - 1).wait_for(timeout=120_000)
        page.locator("h1").click()  # sound needs a click
        page.locator("#silent").wait_for(state="hidden")
        page.wait_for_timeout(9000)  # a sweep of the live traces
        return page

    for path, viewport, name, options in (
        ("/?view=wall", WALL, "station-wall.png", {}),
        ("/", PHONE, "station-phone.png", {"device_scale_factor": 2}),
    ):
        shown = opened(path, viewport, **options)
        shown.screenshot(path=folder / name)
        shown.context.close()
    page = opened("/", DESK)
    page.fill("#who", "rn-12")
    page.screenshot(path=folder / "station.png")
    page.locator(".alert[data-code=EXTREME_BRADY] .head").first.click()
    page.locator("#strip-canvas[data-strip=true]").wait_for()
    page.locator(".citations .cite[data-n='3']").click()
    page.mouse.move(4, 4)
    page.wait_for_timeout(1500)
    page.screenshot(path=folder / "station-alert.png")
    page.keyboard.press("Escape")
    page.locator(f'.bed[data-bed="{SHOWN}"] .opener').click()
    page.locator(".bed-alarms li").first.wait_for()
    page.wait_for_timeout(8000)
    page.screenshot(path=folder / "station-bed.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
