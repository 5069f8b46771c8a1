"""In a real browser: an alert as PNG, JSON and one page of PDF, the search in the history, and the form of limits."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from station.access import StationAccess
from station.people import COOKIE, Doorkeeper
from station.tokens import TokenKeys
from streams.alert import Alert
from tests.station.browser import until
from tests.station.conftest import Station
from tests.station.test_door import ROLES
from tests.station.ward import BED, NASTY, WardInRedis

PNG = b"\x89PNG\r\n\x1a\n"


def _open(page: Any, ward: WardInRedis) -> Alert:
    """The asystole of icu-3/07 with its interpretation, opened in the reader with its strip."""
    ward.bed()
    ward.strip()
    ward.alert()
    alert = ward.alert(2)
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    page.locator("#strip-canvas[data-strip=true]").wait_for()
    page.locator("#reader-text .text").wait_for()
    return alert


def _saved(page: Any, button: str) -> tuple[str, bytes]:
    """Name and bytes of the file that a click saves."""
    with page.expect_download(timeout=60_000) as download:
        page.locator(button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_the_strip_is_saved_as_a_picture_and_the_alert_as_json_with_its_versions(page: Any, ward: WardInRedis) -> None:
    alert = _open(page, ward)
    # The picture is the strip as displayed, sharper
    name, picture = _saved(page, "#reader-png")
    assert name.startswith("ASYSTOLE_icu-3-07_") and name.endswith(".png") and picture.startswith(PNG)
    width, height = struct.unpack(">II", picture[16:24])
    shown = page.evaluate("(({ width, height }) => width / height)(document.getElementById('strip-canvas'))")
    assert width / height == pytest.approx(shown, rel=0.02) and width > 1500 and len(picture) > 10_000
    # The JSON is the document of Redis, with every version
    name, text = _saved(page, "#reader-json")
    saved = json.loads(text)
    assert name.startswith("ASYSTOLE_icu-3-07_") and name.endswith(".json")
    assert Alert.model_validate(saved["alert"]) == alert
    assert [version["version"] for version in saved["versions"]] == [1, 2]


def test_the_report_is_one_page_with_strip_values_text_and_audit(
    new_page: Callable[..., Any], ward: WardInRedis
) -> None:
    # Given an alert of many versions on a bed with many actions
    later = (ward.start + timedelta(seconds=10)).isoformat()
    ward.bed(changes=[{"what": f"silence {k} s", "at": later, "by": f"rn-{k}"} for k in range(40)])
    ward.strip()
    for version in range(1, 31):
        alert = ward.alert(version)
    # When its report is opened and printed
    page = new_page(f"/report?id={alert.id}")
    until(page, "document.body.dataset.ready === 'true'")
    page.emulate_media(media="print")
    pdf = page.pdf(format="A4", print_background=True)
    # Then it is one page: strip, values, text, and who did what
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    words = page.locator("#report").inner_text()
    for part in ("stops for 6.80 s", "RR interval", "6.80 s", "212 ms", "rn-39", "gem-compact", alert.id, NASTY):
        assert part in words, part
    assert page.evaluate("document.querySelector('#report img').naturalWidth") > 500
    assert page.locator("#print").is_hidden()


def test_the_history_is_searched_by_word_bed_and_priority_and_goes_on_to_earlier_pages(
    page: Any, ward: WardInRedis
) -> None:
    # Given 60 alarms that are over, two of them tachycardias, and one asystole that is on
    ward.bed()
    ward.bed("icu-3/09")
    for k in range(58):
        ward.other("PAUSE", "Pause", "PM", s_ago=100.0 + 10 * k, state="off", end=ward.start)
    fast = [
        ward.other(
            "TACHY", "Tachycardia", "PM", s_ago=50.0 + k, state="off", end=ward.start, bed_stream=bed, bed=bed[-2:]
        )
        for k, bed in enumerate((BED, "icu-3/09"))
    ]
    ward.alert()
    page.locator(".alert[data-code=ASYSTOLE]").wait_for()
    page.locator("[data-tab=history]").click()
    rows = page.locator("#history tbody tr")
    status = "document.querySelector('#history [role=status]').textContent"
    # Then a page holds the newest 50, and the others follow
    until(page, f"{status} === '50 alarms, more before them'")
    assert rows.first.get_attribute("data-id") == ward.alert().id
    page.get_by_role("button", name="Earlier alarms").click()
    until(page, f"{status} === '61 alarms'")
    # When words, a bed and a priority are asked for, then only what fits all of them is found
    page.fill("#history [name=q]", "tachy")
    page.keyboard.press("Enter")
    until(page, f"{status} === '2 alarms'")
    page.fill("#history [name=bed]", "icu-3/09")
    page.keyboard.press("Enter")
    until(page, f"{status} === '1 alarm'")
    assert rows.first.get_attribute("data-id") == fast[1].id
    page.fill("#history [name=q]", "")
    page.fill("#history [name=bed]", "")
    page.select_option("#history [name=priority]", "PH")
    page.get_by_role("button", name="Search").click()
    until(page, f"{status} === '1 alarm'")
    # And one that is found opens in the reader
    page.locator("#history tbody button.link").click()
    until(page, "document.getElementById('reader-text').isConnected && !document.getElementById('reader-png').hidden")


def test_limits_are_sent_by_an_admin_and_within_their_bounds_alone(
    new_page: Callable[..., Any], station: Station, ward: WardInRedis, tmp_path: Path
) -> None:
    # Given a station with logins, and a nurse: the form can be read, and not sent
    file = tmp_path / "keys"
    file.write_text("k" * 32)
    keys = TokenKeys(file)

    def logged_in(name: str) -> dict[str, Any]:
        cookie = {"name": COOKIE, "value": keys.signed(name, [], 1.0), "domain": "127.0.0.1", "path": "/"}
        return {"cookies": [cookie | {"expires": -1, "httpOnly": True, "secure": False, "sameSite": "Strict"}]}

    station.stop()
    station.access = StationAccess(Doorkeeper("token", ROLES, keys=keys))
    station.start()
    ward.bed()
    page = new_page(storage_state=logged_in("rn-12"))
    page.locator(f'.bed[data-bed="{BED}"] .opener').click()
    page.locator(".limits", has_text="Limits are changed by people with the role admin.").wait_for()
    assert page.get_by_role("button", name="Send changes").count() == 0
    # When an admin opens it
    page = new_page(storage_state=logged_in("dr-1"))
    page.locator(f'.bed[data-bed="{BED}"] .opener').click()
    rate = page.locator(".limits [name='TACHY.rate']")
    rate.wait_for()
    assert (rate.get_attribute("min"), rate.get_attribute("max")) == ("100", "200")
    assert page.locator(".limits [name='ASYSTOLE.on']").count() == 0, "a lethal alarm cannot be switched off"
    # A limit outside its bounds is not sent, and the field says so
    rate.fill("250")
    page.get_by_role("button", name="Send changes").click()
    assert page.evaluate("document.querySelector(\"[name='TACHY.rate']\").validity.rangeOverflow")
    inbox = redis.Redis.from_url(ward.url, decode_responses=True)
    assert inbox.xlen("ecg:{main}:actions") == 0
    # Within them only what was changed is sent
    rate.fill("130")
    page.locator(".limits [name='PVC_RATE.on']").uncheck()
    page.get_by_role("button", name="Send changes").click()
    until(page, "document.getElementById('toast').textContent.startsWith('Sent')")
    ((_, fields),) = inbox.xrange("ecg:{main}:actions")
    action = json.loads(fields["doc"])
    assert (action["action"], action["by"], action["bed_stream"]) == ("limits", "dr-1", BED)
    assert action["args"] == {"TACHY": {"rate": 130}, "PVC_RATE": {"on": False}}
