"""The page in a real browser: alarms as a nurse sees them, and the actions of a nurse."""

from __future__ import annotations

import json
import time
from typing import Any

import redis

from tests.station.ward import NASTY, WardInRedis


def _until(page: Any, condition: str, timeout_s: float = 30.0) -> None:
    """Poll: the driver's own waiting evaluates text in the page, which its content security policy forbids."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {condition}"
        page.wait_for_timeout(50)


def _open(page: Any, ward: WardInRedis) -> None:
    ward.bed()
    ward.vitals(72.4)
    ward.strip()
    ward.alert()
    page.locator(".alert[data-code=ASYSTOLE]").wait_for()


def test_an_alert_appears_flashes_in_its_colour_and_stays_text(page: Any, ward: WardInRedis) -> None:
    # Given a bed without an alarm on the screen
    ward.bed()
    ward.vitals(72.4)
    page.locator('.bed[data-bed="icu-3/07"]').wait_for()
    assert page.locator(".bed .hr").inner_text() == "72"
    # When an asystole is published
    ward.strip()
    ward.alert()
    # Then it is in the list and on the bed, red, flashing between 1.4 and 2.8 Hz, and nothing in it is markup
    card = page.locator(".alert[data-code=ASYSTOLE]")
    card.wait_for()
    head = card.locator(".head")
    assert NASTY in head.inner_text()
    assert head.get_attribute("data-flash") == "true"
    seconds = head.evaluate("x => parseFloat(getComputedStyle(x).animationDuration)")
    assert 1.4 <= 1 / seconds <= 2.8
    assert page.locator(".bed .banner").inner_text().startswith("Asystole")
    assert page.locator(".alert img").count() == 0
    assert page.title() == "GEM Bedside station"


def test_the_interpretation_arrives_under_the_alert_and_a_citation_is_shown_on_the_strip(
    page: Any, ward: WardInRedis
) -> None:
    _open(page, ward)
    # When the interpretation follows as version 2
    ward.alert(2)
    text = page.locator(".alert .text")
    text.wait_for()
    # Then it stands under the same alert; the contradicted claim is only counted, the citations are buttons
    assert page.locator(".alert").count() == 1
    assert page.locator(".alert .claim").all_inner_texts() == ["stops for 6.80 s", "PR 212 ms"]
    assert "elevated" not in text.inner_text()
    assert "1 contradicted" in page.locator(".alert").inner_text()
    # When [2] is clicked
    text.locator(".cite[data-n='2']").click()
    # Then the strip shows the cited span on its lead, and its label
    canvas = page.locator("#strip-canvas[data-span='547-600']")
    canvas.wait_for()
    assert canvas.get_attribute("data-leads") == "II"
    assert page.locator("#strip-span").inner_text() == "[2] PR 212 ms, lead II, 2.19–2.40 s"
    inside, outside = _amber(page, 547, 600), _amber(page, 1500, 1553)
    assert inside > 0.5 > outside


def _amber(page: Any, first: int, last: int) -> float:
    """Share of reddish pixels of the strip's first row between two samples."""
    return float(
        page.evaluate(
            """([first, last]) => {
              const canvas = document.getElementById("strip-canvas");
              const mm = canvas.width / (11 + 10 * 25 + 4);
              const x = (s) => Math.round((11 + (s / 250) * 25) * mm);
              const [top, high] = [Math.round(10 * mm), Math.round(6 * mm)];
              const data = canvas.getContext("2d").getImageData(x(first), top, x(last) - x(first), high).data;
              let amber = 0;
              for (let k = 0; k < data.length; k += 4) amber += data[k] > data[k + 2] + 15;
              return amber / (data.length / 4);
            }""",
            [first, last],
        )
    )


def test_acknowledge_reaches_the_inbox_with_who_did_it(page: Any, ward: WardInRedis) -> None:
    _open(page, ward)
    # Given an empty ID, the page asks for it, and nothing is sent
    page.locator(".ack").click()
    assert "Enter your ID" in page.locator("#toast").inner_text()
    inbox = redis.Redis.from_url(ward.url, decode_responses=True)
    assert inbox.xlen("ecg:{main}:actions") == 0
    # When the nurse enters it, and acknowledges with the keyboard
    page.fill("#who", "rn-12")
    page.locator(".alert .head").click()
    page.keyboard.press("a")
    _until(page, "document.getElementById('toast').textContent.startsWith('Acknowledged')")
    # Then the action is in the inbox
    (entry,) = inbox.xrange("ecg:{main}:actions")
    action = json.loads(entry[1]["doc"])
    assert (action["action"], action["by"], action["bed_stream"]) == ("acknowledge", "rn-12", "icu-3/07")
    # And when the monitor has applied it, the alert does not flash, and names the nurse
    alert = ward.alert(
        2, state="acknowledged", sounding=False, acknowledged={"at": "2026-11-22T22:11:00Z", "by": "rn-12"}
    )
    assert action["alert_id"] == alert.id
    page.locator(".alert[data-state=acknowledged]").wait_for()
    assert "acknowledged by rn-12" in page.locator(".alert .head").inner_text()
    assert page.locator(".alert .head").get_attribute("data-flash") == "false"


def test_sound_needs_a_gesture_and_then_bursts(page: Any, ward: WardInRedis) -> None:
    _open(page, ward)
    assert page.locator("#sound").inner_text() == "Audio off"
    page.locator("#sound").click()
    _until(page, "document.getElementById('sound').textContent === 'Audio on'")
    _until(page, "document.body.dataset.bursts > 0")


def test_escape_ends_the_selection_and_a_key_acts_on_nothing_after_it(page: Any, ward: WardInRedis) -> None:
    # Given a nurse who has selected an alert, and its strip
    _open(page, ward)
    page.fill("#who", "rn-12")
    page.locator(".alert .head").click()
    page.locator("#strip-canvas[data-span='']").wait_for()
    assert page.locator(".alert").get_attribute("aria-current") == "true"
    # When Escape is pressed, and then the key that acknowledges the selected alert
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    # Then the strip is closed, nothing is selected, and no action was sent
    assert page.locator("#strip").is_hidden()
    assert page.locator(".alert").get_attribute("aria-current") is None
    inbox = redis.Redis.from_url(ward.url, decode_responses=True)
    page.locator(".alert .silence").click()  # an action that follows is the first one in the inbox
    _until(page, "document.getElementById('toast').textContent.startsWith('Audio paused')")
    (entry,) = inbox.xrange("ecg:{main}:actions")
    assert json.loads(entry[1]["doc"])["action"] == "silence"


def test_j_and_k_move_the_selection_and_a_digit_marks_a_citation(page: Any, ward: WardInRedis) -> None:
    _open(page, ward)
    ward.alert(2)
    page.locator(".alert .text").wait_for()
    page.keyboard.press("j")
    assert page.locator(".alert").get_attribute("aria-current") == "true"
    page.keyboard.press("2")
    page.locator("#strip-canvas[data-span='547-600']").wait_for()
    # When the same alert is selected again, the selection stays, without the citation
    page.keyboard.press("k")
    page.locator("#strip-canvas[data-span='']").wait_for()
    assert page.locator(".alert").get_attribute("aria-current") == "true"


def test_a_bed_whose_vitals_end_has_no_telemetry(page: Any, ward: WardInRedis) -> None:
    ward.bed()
    with ward.vitals_every_second():
        _until(page, "document.querySelector('.bed .hr')?.textContent === '72'")
    # When the vitals end, then no number is displayed
    _until(page, "document.querySelector('.bed .rhythm').textContent === 'no telemetry'")
    assert page.locator(".bed .hr").inner_text() == "–"


def test_a_bed_without_a_verdict_for_ten_seconds_is_displayed_as_not_monitored(page: Any, ward: WardInRedis) -> None:
    ward.bed()
    rhythm = "document.querySelector('.bed .rhythm')?.textContent"
    # Given vitals that arrive now, with a verdict on older signal
    ward.vitals(judged_s_ago=12.0)
    _until(page, f"{rhythm} === 'NOT MONITORED'")
    assert page.locator(".bed .hr").inner_text() == "–"
    assert page.locator(".bed").get_attribute("data-monitored") == "false"
    # When there is a verdict again, then the numbers are back
    ward.vitals()
    _until(page, f"{rhythm}?.startsWith('regular rhythm')")
    assert page.locator(".bed .hr").inner_text() == "72"
    # When no vitals come at all, then the newest verdict is soon too old
    _until(page, f"{rhythm} === 'NOT MONITORED'", 30.0)


def test_a_lost_store_is_a_technical_alarm_on_the_page_until_it_is_back(
    page: Any, ward: WardInRedis, redis_server: Any
) -> None:
    _open(page, ward)
    assert page.locator("#technical").is_hidden()
    # Given a live bed: its vitals arrive every second
    with ward.vitals_every_second():
        redis_server.kill()
        try:
            page.locator("#technical").wait_for()
            assert "do not reach this screen" in page.locator("#technical").inner_text()
            assert page.locator("#link").inner_text() == "no connection"
        finally:
            redis_server.start()
        # Then the alarm ends while the vitals go on
        page.locator("#technical").wait_for(state="hidden")
    assert page.locator(".alert[data-code=ASYSTOLE]").count() == 1
