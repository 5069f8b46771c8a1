"""What must never mislead: another patient's strip, one bad document, lost servers, dead workers, ghost beds."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from streams.alert import Alert
from tests.station.browser import until
from tests.station.conftest import Station
from tests.station.ward import BED, WardInRedis, asystole, strip_of_twelve

SOON_S = 5.0  # what the page must say, it says within this
TECHNICAL = "document.getElementById('technical')"


def _awake(page: Any) -> None:
    """The sound is on, so that nothing moves for that any more."""
    page.locator("#clock").click()
    page.locator("#silent").wait_for(state="hidden")


def test_no_strip_is_ever_under_another_alerts_title(page: Any, ward: WardInRedis) -> None:
    # Given an alert with a strip that is displayed, and one whose strip is gone
    ward.bed()
    ward.strip()
    ward.alert()
    gone = ward.other("VTACH", "Ventricular tachycardia", "PH", s_ago=30, segment=_segment(ward))
    page.locator(f".alert[data-id='{gone.id}']").wait_for()
    _awake(page)
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    page.locator("#strip-canvas[data-strip='true']").wait_for()
    drawn = page.evaluate("document.getElementById('strip-canvas').toDataURL()")
    # When the other one is selected
    page.locator(".alert[data-code=VTACH] .head").click()
    # Then from the first moment the canvas is the other alert's, without the old signal, and says why
    canvas = page.locator("#strip-canvas")
    assert (canvas.get_attribute("data-alert"), canvas.get_attribute("data-strip")) == (gone.id, "false")
    until(page, "document.getElementById('strip-canvas').getAttribute('aria-label').includes('not available')")
    assert "Ventricular tachycardia" in canvas.get_attribute("aria-label")
    assert page.evaluate("document.getElementById('strip-canvas').toDataURL()") != drawn
    assert "Ventricular tachycardia" in page.locator("#reader-title").inner_text()


def _segment(ward: WardInRedis) -> dict[str, object]:
    return {"start": ward.start, "duration_s": 10.0, "sampling_rate": 250.0, "strip": "gone"}


def test_one_document_that_cannot_be_read_harms_itself_alone(page: Any, ward: WardInRedis) -> None:
    # Given a bed, a bed document that is no document, and an alert whose interpretation cannot be read
    client = redis.Redis.from_url(ward.url)
    ward.bed()
    page.locator(f'.bed[data-bed="{BED}"]').wait_for()  # the feed is open: the broken alert stands in its stream alone
    client.sadd("ecg:{main}:beds:icu-3", "icu-3/99")
    client.hset("ecg:{main}:bed:icu-3/99", "doc", b"\xff{")
    broken = json.loads(asystole(ward.start, 2).to_json())
    broken |= {"id": "b" * 32, "code": "VTACH", "title": "Ventricular tachycardia"}
    broken["interpretation"]["seconds"] = None
    client.xadd("ecg:{main}:alerts:icu-3", {"id": "b" * 32, "version": "2", "state": "on", "doc": json.dumps(broken)})
    # When another asystole follows
    ward.alert()
    page.locator(".alert[data-code=ASYSTOLE]").wait_for()
    # Then all of them are displayed: the broken alert without its interpretation, and with the reason
    card = page.locator(".alert[data-code=VTACH]")
    card.wait_for()
    assert "cannot be read: interpretation.seconds" in card.inner_text()
    page.reload()
    page.locator(f'.bed[data-bed="{BED}"]').wait_for()
    fault = page.locator(".alert[data-code=UNREADABLE]")
    fault.wait_for()
    assert "The bed document cannot be read" in fault.inner_text()
    # And an alert without a readable core is a technical alarm, after which alerts still arrive
    client.xadd("ecg:{main}:alerts:icu-3", {"doc": b'{"id": "c", "bed_stream": "icu-3/08"}'})
    page.locator(".alert[data-code=UNREADABLE]", has_text="An alert cannot be read").wait_for()
    ward.other("BRADY", "Bradycardia", "PM")
    page.locator(".alert[data-code=BRADY]").wait_for()


def test_a_lost_store_is_said_within_five_seconds_and_cleared_and_nothing_is_missed(
    page: Any, ward: WardInRedis, redis_server: Any
) -> None:
    ward.bed()
    with ward.vitals_every_second():
        ward.alert()
        page.locator(".alert[data-code=ASYSTOLE]").wait_for()
        _awake(page)
        redis_server.kill()
        try:
            assert until(page, f"!{TECHNICAL}.hidden") < SOON_S
            assert "do not reach this screen" in page.locator("#technical").inner_text()
            assert page.locator("#link").inner_text() == "no connection"
            until(page, "document.body.dataset.burst === 'PM' || document.body.dataset.burst === 'PH'")
        finally:
            redis_server.start()
        ward.other("VTACH", "Ventricular tachycardia", "PH")
        # Then the alarm ends while the vitals go on, and what came in between is there
        assert until(page, f"{TECHNICAL}.hidden") < SOON_S
        page.locator(".alert[data-code=VTACH]").wait_for()
    assert page.locator(".alert[data-code=ASYSTOLE]").count() == 1


def test_a_killed_server_is_said_within_five_seconds_and_nothing_is_missed(
    page: Any, ward: WardInRedis, station: Station
) -> None:
    ward.bed()
    with ward.vitals_every_second():
        ward.alert()
        page.locator(".alert[data-code=ASYSTOLE]").wait_for()
        _awake(page)
        until(page, "document.getElementById('link').textContent === 'live'")
        # When the server is gone, then the screen says so within 5 s
        station.stop()
        assert until(page, f"!{TECHNICAL}.hidden") < SOON_S
        assert "No connection to the station server" in page.locator("#technical").inner_text()
        # Given an alarm that comes and goes meanwhile, and one that stays
        gone = ward.other("VTACH", "Ventricular tachycardia", "PH", s_ago=-12)
        ward.change(gone, state="off", phase="end", sounding=False)
        ward.other("BRADY", "Bradycardia", "PM", s_ago=-12)
        # When the server is back, then all is said within 5 s
        station.start()
        assert until(page, f"{TECHNICAL}.hidden") < SOON_S
        page.locator(".alert[data-code=BRADY]").wait_for()
        page.locator(".alert[data-code=VTACH][data-state=off]").wait_for()
        until(page, "!document.getElementById('missed').hidden")
        assert "Ventricular tachycardia icu-3/07" in page.locator("#missed").inner_text()


def test_dead_workers_are_said_within_five_seconds_and_not_monitored_within_ten(page: Any, ward: WardInRedis) -> None:
    ward.bed()
    page.locator(f'.bed[data-bed="{BED}"]').wait_for()
    _awake(page)
    with ward.vitals_every_second():
        until(page, "document.querySelector('.bed .hr').textContent === '72'")
        until(page, f"{TECHNICAL}.hidden")
    # When the vitals end, then within 5 s no number is displayed, and the screen says that no bed has values
    assert until(page, f"!{TECHNICAL}.hidden") < SOON_S + 1  # the newest vitals may be a second old
    assert "No values of any bed" in page.locator("#technical").inner_text()
    assert page.locator(".bed .hr").inner_text() == "–"
    until(page, "document.body.dataset.burst === 'PM'")
    # And the bed is NOT MONITORED, a technical alarm of its own
    alarm = page.locator(".alert[data-code=NOT_MONITORED]")
    alarm.wait_for(timeout=12_000)
    assert page.locator(".bed .rhythm").inner_text() == "NOT MONITORED"
    assert page.locator(".bed").get_attribute("data-monitored") == "false"
    # When somebody acknowledges it at this screen, then it stays displayed with the name
    page.fill("#who", "rn-12")
    alarm.locator(".ack").click()
    until(page, "document.querySelector('.alert[data-code=NOT_MONITORED]').dataset.state === 'acknowledged'")
    assert "acknowledged by rn-12" in alarm.inner_text()
    # When the workers are back, then all of it is cleared within 5 s
    with ward.vitals_every_second():
        assert until(page, f"{TECHNICAL}.hidden && !document.querySelector('.alert[data-code=NOT_MONITORED]')") < SOON_S
        assert page.locator(".bed .hr").inner_text() == "72"


def test_a_bed_without_a_verdict_is_not_monitored_although_its_values_arrive(page: Any, ward: WardInRedis) -> None:
    ward.bed()
    rhythm = "document.querySelector('.bed .rhythm')?.textContent"
    ward.vitals(judged_s_ago=12.0)
    until(page, f"{rhythm} === 'NOT MONITORED'")
    page.locator(".alert[data-code=NOT_MONITORED]").wait_for()
    assert page.locator(".bed .hr").inner_text() == "–"
    # When there is a verdict again, then the numbers are back, and the alarm is gone
    ward.vitals()
    until(page, f"{rhythm}?.startsWith('regular rhythm')")
    until(page, "!document.querySelector('.alert[data-code=NOT_MONITORED]')")


def test_a_bed_that_is_gone_from_the_store_is_gone_from_the_page(
    page: Any, ward: WardInRedis, redis_server: Any
) -> None:
    ward.beds(["icu-3/07", "icu-3/08"])
    page.locator('.bed[data-bed="icu-3/08"]').wait_for()
    client = redis.Redis.from_url(ward.url)
    client.srem("ecg:{main}:beds:icu-3", "icu-3/08")
    page.reload()
    page.locator('.bed[data-bed="icu-3/07"]').wait_for()
    assert page.locator(".bed").count() == 1


def test_six_tabs_of_one_browser_share_one_connection(new_page: Callable[..., Any], ward: WardInRedis) -> None:
    ward.bed()
    first = new_page()
    tabs = [first, *(new_page(context=first.context) for _ in range(6))]
    for tab in tabs:
        tab.locator(f'.bed[data-bed="{BED}"]').wait_for()
    # When an alarm comes, then it is in every tab, and the server still answers each
    ward.alert()
    for tab in tabs:
        tab.locator(".alert[data-code=ASYSTOLE]").wait_for()
        assert tab.evaluate("fetch('/api/snapshot').then((answer) => answer.status)") == 200


def test_a_restarted_page_has_what_came_and_went_while_it_was_closed(
    new_page: Callable[..., Any], ward: WardInRedis
) -> None:
    page = new_page()
    ward.bed()
    page.locator(f'.bed[data-bed="{BED}"]').wait_for()
    until(page, "localStorage.getItem('last-event') !== null")
    page.goto("about:blank")
    onset = datetime.now(UTC) + timedelta(seconds=1)
    gone = Alert.model_validate(asystole(onset).model_dump() | {"state": "off", "phase": "end", "sounding": False})
    ward.publish_alert(gone)
    page.go_back()
    page.locator(".alert[data-code=ASYSTOLE][data-state=off]").wait_for()
    until(page, "!document.getElementById('missed').hidden")


def test_a_strip_of_high_waves_names_its_reduced_scale_also_beside_a_citation(page: Any, ward: WardInRedis) -> None:
    ward.bed()
    alert = ward.alert(2)
    ward.strip(alert, strip_of_twelve(height_mv=1.5))
    page.locator(".alert[data-code=ASYSTOLE]").wait_for()
    _awake(page)
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    page.locator("#strip-canvas[data-strip='true'][data-span='800-2500']").wait_for()
    assert page.evaluate("document.getElementById('strip-canvas').dataset.gain") in ("5", "2.5")
