"""The page in a real browser: alarms as a nurse sees and hears them, and the actions of a nurse."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.station.browser import until
from tests.station.ward import BED, NASTY, WardInRedis

ACKNOWLEDGED = {"at": "2026-11-22T22:11:00Z", "by": "rn-12"}


@pytest.fixture
def ward(ward: WardInRedis) -> Iterator[WardInRedis]:
    """Every bed that a test publishes has vitals each second."""
    with ward.vitals_every_second(ward.known):
        yield ward


def _open(page: Any, ward: WardInRedis, *, silent: bool = False) -> None:
    ward.bed()
    ward.strip()
    ward.alert()
    page.locator(".alert[data-code=ASYSTOLE]").wait_for()
    if page.locator("#silent").is_visible() and not silent:
        page.locator("#clock").click()  # the sound is on, and nothing moves for that any more
        page.locator("#silent").wait_for(state="hidden")


def _inbox(ward: WardInRedis) -> list[dict[str, Any]]:
    entries = redis.Redis.from_url(ward.url, decode_responses=True).xrange("ecg:{main}:actions")
    return [json.loads(fields["doc"]) for _, fields in entries]


def test_an_alert_appears_flashes_in_its_colour_and_stays_text(page: Any, ward: WardInRedis) -> None:
    # Given a bed without an alarm on the screen
    ward.bed()
    page.locator(f'.bed[data-bed="{BED}"]').wait_for()
    until(page, "document.querySelector('.bed .hr').textContent === '72'")
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
    banner = page.locator(".bed .banner")
    assert NASTY in banner.inner_text()
    # And the tile says the value, the state in a word, and how long it has lasted
    assert "RR interval 6.80 s" in banner.inner_text()
    assert "PRESENT" in banner.inner_text()
    until(page, "/^\\d+ s$/.test(document.querySelector('.bed .banner .since').textContent)")
    assert page.locator(".bed .banner .badge text").text_content() == "!!!"
    assert page.locator(".alert img").count() == 0
    assert page.title() == "GEM Bedside station"


def test_the_interpretation_arrives_under_the_alert_and_citations_are_marked_on_the_strip(
    page: Any, ward: WardInRedis
) -> None:
    _open(page, ward)
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    # When the interpretation follows as version 2
    ward.alert(2)
    text = page.locator("#reader-text .text")
    text.wait_for()
    # Then it stands under the same alert; the contradicted finding is only counted, the citations are buttons
    assert page.locator(".alert[data-code=ASYSTOLE]").count() == 1
    assert page.locator("#reader-text .claim").all_inner_texts() == ["stops for 6.80 s", "PR 212 ms"]
    assert "elevated" not in text.inner_text()
    assert "1 contradicted and left out" in page.locator("#reader-text").inner_text()
    # And the alarm's own finding is marked; [2] is marked beside it when it is clicked
    page.locator("#strip-canvas[data-span='800-2500']").wait_for()
    text.locator(".cite[data-n='2']").click()
    page.mouse.move(5, 5)
    canvas = page.locator("#strip-canvas[data-span='800-2500 547-600']")
    canvas.wait_for()
    assert canvas.get_attribute("data-leads") == "II,V1 II"
    # When [1] is unmarked, then only the other interval is coloured
    text.locator(".cite[data-n='1']").click()
    page.mouse.move(5, 5)
    page.locator("#strip-canvas[data-span='547-600']").wait_for()
    inside, outside = _amber(page, 547, 600), _amber(page, 1500, 1553)
    assert inside > 0.5 > outside


def _amber(page: Any, first: int, last: int) -> float:
    """Share of amber pixels in the upper part of the strip's first row between two samples."""
    return float(
        page.evaluate(
            """([first, last]) => {
              const canvas = document.getElementById("strip-canvas");
              const mm = canvas.width / (12 + 10 * 25 + 4);
              const x = (s) => Math.round((12 + (s / 250) * 25) * mm);
              const [top, high] = [Math.round(22 * mm), Math.round(4 * mm)];
              const data = canvas.getContext("2d").getImageData(x(first), top, x(last) - x(first), high).data;
              let amber = 0;
              for (let k = 0; k < data.length; k += 4) amber += data[k] > data[k + 2] + 25;
              return amber / (data.length / 4);
            }""",
            [first, last],
        )
    )


@pytest.mark.parametrize("width", [1440, 1300, 1040])
def test_hovering_a_measurement_marks_its_interval_and_the_interval_its_measurement(
    new_page: Any, ward: WardInRedis, width: int
) -> None:
    page = new_page("/", viewport={"width": width, "height": 900})
    _open(page, ward)
    until(page, "document.querySelector('.bed .hr').textContent === '72'")  # no sign of a dead ward moves the page
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    page.locator("#strip-canvas[data-strip='true']").wait_for()
    ward.alert(2)  # measurements may come after the strip
    # When the pointer is on a measurement, then its interval is marked as long as it stays
    page.locator(".citations .cite[data-n='2']").hover()
    page.locator("#strip-canvas[data-span='800-2500 547-600']").wait_for()
    # When the pointer is on an interval of the strip, then its measurement is
    scrolled = _scrolled(page)
    page.mouse.move(5, 5)
    page.locator(".citations .cite[data-n='2'][data-hover='false']").wait_for()
    _point_at(page, sample=573, number=2)
    page.locator(".citations .cite[data-n='1'][data-hover='false']").wait_for()
    # And the strip stays where it is, also when the alert gets a new version meanwhile
    ward.alert(3, title="Asystole again")
    page.locator("#reader-title", has_text="Asystole again").wait_for()
    assert _scrolled(page) == scrolled
    page.mouse.move(5, 5)
    page.locator(".citations .cite[data-n='2'][data-hover='false']").wait_for()
    _point_at(page, sample=573, number=2)
    assert _scrolled(page) == scrolled


def _scrolled(page: Any) -> list[float]:
    return list(page.locator("#strip-scroll").evaluate("(x) => [x.scrollLeft, x.scrollTop]"))


def _point_at(page: Any, sample: int, number: int) -> None:
    """Put the pointer on a sample of the strip's first row until its measurement is marked.

    A sign above the strip that comes or goes meanwhile moves the strip from under the pointer.
    """
    marked = page.locator(f".citations .cite[data-n='{number}'][data-hover='true']")
    deadline, step = time.monotonic() + 60, 0
    while not marked.count():
        assert time.monotonic() < deadline, f"no measurement is marked with the pointer on sample {sample}"
        step = 1 - step  # the browser tells nobody of a move to the same place
        box = page.locator("#strip-canvas").bounding_box()
        mm = box["width"] / 266
        page.mouse.move(box["x"] + (12 + sample / 10) * mm, box["y"] + 28 * mm + step)
        page.wait_for_timeout(100)


def test_calipers_measure_interval_and_rate(page: Any, ward: WardInRedis) -> None:
    _open(page, ward)
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    page.locator("#strip-canvas[data-strip='true']").wait_for()
    box = page.locator("#strip-canvas").bounding_box()
    mm = box["width"] / 266
    before = _pixels(page)
    # When a person drags over one second of lead II
    page.mouse.move(box["x"] + (12 + 25) * mm, box["y"] + 26 * mm)
    page.mouse.down()
    page.mouse.move(box["x"] + (12 + 50) * mm, box["y"] + 26 * mm, steps=4)
    page.mouse.up()
    # Then the strip says the interval and its rate
    assert _pixels(page) != before
    words = page.evaluate(
        """async () => {
          const { Calipers } = await import("/page/calipers.js");
          const { makeScene } = await import("/page/strip_scene.js");
          const { fetchStrip } = await import("/page/strip.js");
          const alert = await (await fetch(`/api/alerts/${document.getElementById("reader").dataset.alert}`)).json();
          const scene = makeScene(alert, await fetchStrip(alert.id), "rows");
          const calipers = new Calipers();
          calipers.begin(scene, 12 + 25, 26);
          calipers.moveTo(scene, 12 + 50, 31);
          return calipers.words(scene);
        }"""
    )
    assert words == "1.00 s · 60 bpm · 0.50 mV · lead II"


def _pixels(page: Any) -> str:
    return str(page.evaluate("document.getElementById('strip-canvas').toDataURL()"))


def test_an_acknowledgement_is_sent_and_then_holds(page: Any, ward: WardInRedis) -> None:
    _open(page, ward)
    # Given an empty ID, the page asks for it, and nothing is sent
    page.locator(".alert[data-code=ASYSTOLE] .ack").click()
    assert "Enter your ID" in page.locator("#toast").inner_text()
    assert _inbox(ward) == []
    # When the nurse enters it, and acknowledges with the keyboard
    page.fill("#who", "rn-12")
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    page.keyboard.press("a")
    # Then the page says that it is sent, not that it holds
    until(page, "document.getElementById('toast').textContent.startsWith('Sent')")
    page.locator(".alert[data-code=ASYSTOLE] .pending", has_text="waiting for the monitor").wait_for()
    (action,) = _inbox(ward)
    assert (action["action"], action["by"], action["bed_stream"]) == ("acknowledge", "rn-12", BED)
    assert page.locator(".alert[data-code=ASYSTOLE] .head").get_attribute("data-flash") == "true"
    # When the monitor has applied it, then it holds, nothing flashes, and the alert names the nurse
    first = {"at": action["at"], "by": "rn-12"}
    alert = ward.alert(2, state="acknowledged", sounding=False, acknowledged=first)
    assert action["alert_id"] == alert.id
    until(page, "document.getElementById('toast').textContent.startsWith('Acknowledgement holds')")
    assert "acknowledged by rn-12" in page.locator(".alert[data-code=ASYSTOLE] .head").inner_text()
    assert page.locator(".alert[data-code=ASYSTOLE] .head").get_attribute("data-flash") == "false"
    assert "✓ rn-12" in page.locator(".bed .banner").inner_text()
    # When the condition is over, then it still says who acknowledged
    ward.alert(3, state="off", phase="end", sounding=False, acknowledged=first)
    page.locator(".alert[data-state=off]").wait_for()
    assert "ended, acknowledged by rn-12" in page.locator(".alert[data-code=ASYSTOLE] .head").inner_text()


def test_the_second_of_two_stations_is_told_who_was_first(new_page: Any, ward: WardInRedis) -> None:
    # Given two stations, and an alarm on both
    pages = [new_page(), new_page()]
    for page, who in zip(pages, ("rn-12", "rn-44"), strict=True):
        _open(page, ward)
        page.fill("#who", who)
    # When both acknowledge it, and the monitor takes the first
    for page in pages:
        page.locator(".alert[data-code=ASYSTOLE] .ack").click()
        until(page, "document.getElementById('toast').textContent.startsWith('Sent')")
    first = _inbox(ward)[0]
    ward.alert(2, state="acknowledged", sounding=False, acknowledged={"at": first["at"], "by": first["by"]})
    # Then the first is told that it holds, and the second who was first
    until(pages[0], "document.getElementById('toast').textContent.startsWith('Acknowledgement holds')")
    until(pages[1], "document.getElementById('toast').textContent.startsWith('rn-12 was first')")
    for page in pages:
        assert "acknowledged by rn-12" in page.locator(".alert[data-code=ASYSTOLE] .head").inner_text()


def test_an_action_that_the_monitor_does_not_answer_is_said_to_be_unconfirmed(page: Any, ward: WardInRedis) -> None:
    _open(page, ward)
    page.fill("#who", "rn-12")
    page.locator(".alert[data-code=ASYSTOLE] .ack").click()
    until(page, "document.getElementById('toast').textContent.startsWith('Not confirmed')", 12)
    assert "Not confirmed" in page.locator(".alert[data-code=ASYSTOLE] .pending").inner_text()


def test_a_screen_without_sound_says_so_over_its_full_width_until_a_click(page: Any, ward: WardInRedis) -> None:
    _open(page, ward, silent=True)
    sign = page.locator("#silent")
    assert "This screen is silent" in sign.inner_text()
    assert sign.bounding_box()["width"] == 1440
    # When anything on the page is clicked, then it sounds, in the bursts of the highest priority
    page.locator("#silent-on").click()
    sign.wait_for(state="hidden")
    until(page, "document.body.dataset.bursts > 0")
    assert page.evaluate("document.body.dataset.burst") == "PH"
    # When the page is loaded again, then it sounds without a visit to a button: any click will do
    page.reload()
    page.locator(".alert[data-code=ASYSTOLE]").wait_for()
    page.locator("#clock").click()
    sign.wait_for(state="hidden")
    until(page, "document.body.dataset.bursts > 0")
    # When somebody switches the sound off, then the sign stays, also after another reload
    page.keyboard.press("m")
    sign.wait_for()
    page.reload()
    page.locator("#clock").click()
    assert "switched its sound off" in sign.inner_text()


def test_the_volume_has_a_floor_and_there_are_test_tones(page: Any, ward: WardInRedis) -> None:
    ward.bed()
    page.locator("#display-open").click()
    assert page.locator("#set-volume").get_attribute("min") == "30"
    body = """async () => {
      const { AlarmSound } = await import("/page/alarm_sound.js");
      const sound = new AlarmSound();
      sound.setVolume(0.01);
      return sound.volume;
    }"""
    assert page.evaluate(body) == 0.3
    page.locator("#test-PM").click()  # an error of the page would fail the test


def test_escape_ends_the_selection_and_a_key_acts_on_nothing_after_it(page: Any, ward: WardInRedis) -> None:
    # Given a nurse who has selected an alert, and its strip
    _open(page, ward)
    page.fill("#who", "rn-12")
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    page.locator("#strip-canvas[data-strip='true']").wait_for()
    assert page.locator(".alert[data-code=ASYSTOLE]").get_attribute("aria-current") == "true"
    # When Escape is pressed, and then the key that acknowledges the selected alert
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    # Then the reader is closed, nothing is selected, and no action was sent
    assert page.locator("#reader").is_hidden()
    assert page.locator(".alert[data-code=ASYSTOLE]").get_attribute("aria-current") is None
    page.locator(".alert[data-code=ASYSTOLE] .silence").click()  # an action that follows is the first one in the inbox
    until(page, "document.getElementById('toast').textContent.startsWith('Sent: audio')")
    assert [action["action"] for action in _inbox(ward)] == ["silence"]


def test_j_and_k_move_the_selection_and_a_digit_marks_a_citation(page: Any, ward: WardInRedis) -> None:
    _open(page, ward)
    ward.alert(2)
    page.locator(".alert[data-code=ASYSTOLE] .text").wait_for()
    page.keyboard.press("j")
    assert page.locator(".alert[data-code=ASYSTOLE]").get_attribute("aria-current") == "true"
    page.keyboard.press("2")
    page.locator("#strip-canvas[data-span='800-2500 547-600']").wait_for()
    # When the same alert is selected again, the selection stays, with the alarm's own finding
    page.keyboard.press("k")
    page.locator("#strip-canvas[data-span='800-2500']").wait_for()
    assert page.locator(".alert[data-code=ASYSTOLE]").get_attribute("aria-current") == "true"


def test_an_audio_pause_counts_down_by_the_servers_clock(page: Any, ward: WardInRedis) -> None:
    _open(page, ward)
    page.fill("#who", "rn-12")
    page.locator(".alert[data-code=ASYSTOLE] .silence").click()
    until(page, "document.getElementById('toast').textContent.startsWith('Sent: audio')")
    (action,) = _inbox(ward)
    # When the monitor has applied it
    until_time = ward.start.replace(year=ward.start.year + 1)
    ward.bed(audio_paused_until=until_time, applied_ids=[action["id"]], changes=[])
    # Then the page says that it is done, and the tile counts down
    until(page, "document.getElementById('toast').textContent.startsWith('Done: audio')")
    until(page, "/^audio paused \\d+:\\d\\d$/.test(document.querySelector('.bed .note').textContent)")
