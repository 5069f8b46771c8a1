"""Order, views and accessibility: who needs someone comes first, nothing moves under a finger, everyone can read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest

from tests.station.browser import until
from tests.station.ward import WardInRedis, strip_of_twelve

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
ORDER = "[...document.querySelectorAll('.bed')].map((bed) => bed.dataset.bed)"
ACKNOWLEDGED = {"at": "2026-11-22T22:11:00Z", "by": "rn-12"}
BEDS = [f"icu-3/{k}" for k in range(1, 33)]


@pytest.fixture
def ward(ward: WardInRedis) -> Iterator[WardInRedis]:
    """Every bed that a test publishes has vitals each second."""
    with ward.vitals_every_second(ward.known):
        yield ward


def _away(page: Any) -> None:
    """No pointer holds tiles or cards, and the sound is on."""
    page.locator("#clock").click()
    page.locator("#silent").wait_for(state="hidden")


@contextmanager
def _time_stands_still(page: Any) -> Iterator[None]:
    """Hold the page's steady clock: a pointer that rests holds the list for 2.5 s of it, on a slow machine too."""
    page.evaluate("() => { const at = performance.now(); performance.now = () => at; }")
    try:
        yield
    finally:
        page.evaluate("() => { delete performance.now; }")


@contextmanager
def _pointer_moves_on(page: Any, target: Any) -> Iterator[None]:
    """A hand that does not rest: the pointer's events come four times a second."""
    target.hover()
    page.evaluate(
        """(target) => { window.hand = setInterval(
             () => target.dispatchEvent(new PointerEvent('pointermove', { bubbles: true })), 250); }""",
        target.element_handle(),
    )
    try:
        yield
    finally:
        page.evaluate("() => clearInterval(window.hand)")


def test_tiles_are_by_urgency_then_by_number_and_move_only_with_their_class(page: Any, ward: WardInRedis) -> None:
    # Given beds 1, 2 and 10: by number, not as text
    beds = ["icu-3/10", "icu-3/2", "icu-3/1"]
    ward.beds(beds)
    until(page, f"{ORDER}.join() === 'icu-3/1,icu-3/2,icu-3/10'")
    # When bed 10 has a lethal alarm that is present, and bed 2 one that is over
    over = ward.other("ASYSTOLE", "Asystole", "PH", bed_stream="icu-3/2", state="latched", end=ward.start)
    fibrillation = ward.other("VFIB", "Ventricular fibrillation", "PH", bed_stream="icu-3/10")
    until(page, f"{ORDER}.join() === 'icu-3/10,icu-3/2,icu-3/1'")
    assert "OVER" in page.locator('.bed[data-bed="icu-3/2"] .banner').inner_text()
    # And somebody acknowledges the fibrillation while it stands, and a lesser alarm begins
    ward.change(fibrillation, state="acknowledged", sounding=False, acknowledged=ACKNOWLEDGED)
    ward.other("VPAIR", "Ventricular couplet", "PL", s_ago=1, bed_stream="icu-3/10")
    # Then the tile stays on top with the fibrillation, and says who
    until(page, "document.querySelector('.bed[data-bed=\"icu-3/10\"] .banner').innerText.includes('rn-12')")
    assert "Ventricular fibrillation" in page.locator('.bed[data-bed="icu-3/10"] .banner').inner_text()
    assert page.evaluate(ORDER) == ["icu-3/10", "icu-3/2", "icu-3/1"]
    assert page.locator(".alert").first.get_attribute("data-code") == "VFIB"
    # And a low alarm on bed 1 moves nothing
    ward.other("PVC_RATE", "Frequent PVCs", "PL", s_ago=1, bed_stream="icu-3/1")
    page.locator('.bed[data-bed="icu-3/1"][data-priority=PL]').wait_for()
    assert page.evaluate(ORDER) == ["icu-3/10", "icu-3/2", "icu-3/1"]
    # When bed 2 is acknowledged, then it goes back to its place
    ward.change(over, state="off", phase="end", sounding=False)
    until(page, f"{ORDER}.join() === 'icu-3/10,icu-3/1,icu-3/2'")


def test_beds_with_alarms_out_of_view_are_named_and_counted(page: Any, ward: WardInRedis) -> None:
    ward.beds(BEDS)
    for bed in ("icu-3/3", "icu-3/7"):
        ward.other("VTACH", "Ventricular tachycardia", "PH", bed_stream=bed)
    until(page, f"{ORDER}.slice(0, 2).join() === 'icu-3/3,icu-3/7'")
    assert page.locator("#pinned").is_hidden()
    # When the nurse has scrolled down
    page.locator('.bed[data-bed="icu-3/32"]').scroll_into_view_if_needed()
    page.locator("#pinned").wait_for()
    assert page.locator("#pinned-count").inner_text() == "2 beds with alarms out of view"
    assert "icu-3 · 3" in page.locator("#pinned-beds").inner_text()
    # Then a click on a bed's name brings it into view
    page.locator("#pinned-beds button").first.click()
    page.locator("#pinned").wait_for(state="hidden")


def test_cards_do_not_move_under_the_pointer(page: Any, ward: WardInRedis) -> None:
    ward.bed()
    first = ward.other("BRADY", "Bradycardia", "PM")
    card = page.locator(f".alert[data-id='{first.id}']")
    card.wait_for()
    _away(page)
    until(page, "!document.querySelector('.alert[data-id^=screen-]')")  # a slow machine's late vitals are an alarm too
    with _time_stands_still(page):
        # Given a pointer on the button of a card
        card.locator(".ack").hover()
        place, before = card.bounding_box(), page.locator(".alert").count()
        # When a more urgent alarm comes
        ward.alert()
        page.locator("#new-alerts").wait_for()
        # Then the list stays, the button under the pointer too; the tile, the sound and the count say it at once
        assert page.locator("#new-alerts").inner_text() == "1 new alarm ↑"
        assert (card.bounding_box(), page.locator(".alert").count()) == (place, before)
        page.locator(".bed .banner", has_text="Asystole").wait_for()
        assert page.locator(".alert").first.get_attribute("data-code") == "BRADY"
    # When the pointer leaves, then the new alarm is on top
    page.mouse.move(300, 500)
    until(page, "document.querySelector('.alert').dataset.code === 'ASYSTOLE'")


def test_a_card_whose_alarm_goes_keeps_its_place_under_the_pointer_but_does_nothing(
    page: Any, ward: WardInRedis
) -> None:
    # Given an alarm of the page itself, on a bed whose newest verdict is old, above another one
    ward.bed()
    ward.bed("icu-3/42")
    ward.known.remove("icu-3/42")
    ward.vitals(judged_s_ago=20, beds=["icu-3/42"])
    gone = page.locator(".alert[data-code=NOT_MONITORED]")
    gone.wait_for()
    ward.other("BRADY", "Bradycardia", "PM")
    card = page.locator(".alert[data-code=BRADY]")
    card.wait_for()
    _away(page)
    with _time_stands_still(page):
        card.locator(".ack").hover()
        place = card.bounding_box()
        # When the bed is judged again
        ward.vitals(beds=["icu-3/42"])
        page.locator(".alert.gone[data-code=NOT_MONITORED]").wait_for()
        # Then no card moves, and the buttons of the one that went are off
        assert card.bounding_box() == place
        assert gone.locator("button:enabled").count() == 0
    # When the pointer leaves, then it is away
    page.mouse.move(300, 500)
    gone.wait_for(state="detached")


def test_a_sign_that_appears_lies_over_the_page_until_the_pointer_rests(page: Any, ward: WardInRedis) -> None:
    # Given a pointer on the button of a card
    ward.beds(BEDS[:3])
    ward.other("BRADY", "Bradycardia", "PM", bed_stream=BEDS[0])
    button = page.locator(".alert[data-code=BRADY] .ack")
    button.wait_for()
    _away(page)
    with _pointer_moves_on(page, button):
        place = button.bounding_box()
        # When no bed has vitals any more
        ward.known.clear()
        sign = page.locator("#technical")
        sign.wait_for()
        # Then the sign is there at once, and nothing moves
        assert sign.bounding_box()["height"] > 0
        assert button.bounding_box() == place
        assert sign.evaluate("(sign) => document.elementFromPoint(innerWidth / 2, 60) === sign")
    # When the pointer rests, then the page makes room for the sign
    until(page, f"document.querySelector('.alert[data-code=BRADY] .ack').getBoundingClientRect().y > {place['y']}")


def test_a_page_of_32_beds_has_few_tab_stops_and_arrows_move_inside(page: Any, ward: WardInRedis) -> None:
    ward.beds(BEDS)
    for bed in BEDS[:20]:
        ward.other("VTACH", "Ventricular tachycardia", "PH", bed_stream=bed)
    until(page, "document.querySelectorAll('.alert').length === 20")
    stops = page.evaluate(
        """[...document.querySelectorAll('button, a[href], input, select, [tabindex="0"]')]
           .filter((item) => item.tabIndex === 0 && !item.disabled && item.offsetParent).length"""
    )
    assert stops < 30
    page.locator(".alert .head").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('.alert') === document.querySelectorAll('.alert')[1]")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing_serious_or_moderate(scheme: str, new_page: Callable[..., Any], ward: WardInRedis) -> None:
    page = new_page(color_scheme=scheme, reduced_motion="reduce")
    ward.beds(["icu-3/07", "icu-3/08", "icu-3/09", "icu-3/10"])
    ward.strip()
    ward.alert(2)
    ward.other("BRADY", "Bradycardia", "PM", bed_stream="icu-3/08", state="acknowledged", acknowledged=ACKNOWLEDGED)
    ward.other("VTACH", "Ventricular tachycardia", "PH", bed_stream="icu-3/09", state="latched", end=ward.start)
    ward.other("AFIB", "Atrial fibrillation", "PL", bed_stream="icu-3/10")
    ward.other("TACHY", "Tachycardia", "PM", bed_stream="icu-3/10", state="off", phase="end", sounding=False)
    page.locator(".alert[data-code=ASYSTOLE]").wait_for()
    page.evaluate(AXE.read_text())
    found = _violations(page, "desk")
    _away(page)
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    page.locator("#strip-canvas[data-strip='true']").wait_for()
    found += _violations(page, "reader")
    page.keyboard.press("Escape")
    for view, ready in (("bed=main|icu-3/07", ".bed-alarms li"), ("history", ".results tr button"), ("beds", ".bed")):
        page.evaluate("(view) => { window.location.hash = view; }", view)
        page.locator(ready).first.wait_for()
        found += _violations(page, view)
    assert found == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_alarms_of_the_screen_itself_can_be_read_while_they_stand_and_when_they_went(
    scheme: str, new_page: Callable[..., Any], ward: WardInRedis
) -> None:
    page = new_page(color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(AXE.read_text())
    # Given beds without vitals: no values of any bed, and no verdict on each
    ward.beds(BEDS[:3])
    silenced = [ward.known.pop() for _ in range(3)]
    page.locator(".alert[data-code=WORKERS_SILENT]").wait_for()
    _away(page)
    page.locator(".alert[data-code=NOT_MONITORED]").nth(1).wait_for()
    assert _violations(page, "stands") == []
    with _time_stands_still(page):
        # When they go while a pointer holds the list, then the cards that stay can be read too
        page.locator(".alert .ack").first.hover()
        ward.known.extend(silenced)
        page.locator(".alert.gone").first.wait_for()
        assert _violations(page, "gone") == []


def _violations(page: Any, view: str) -> list[str]:
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{view}: {violation['id']} ({violation['impact']}): {violation['nodes'][0]['html'][:160]}"
        for violation in result["violations"]
        if violation["impact"] != "minor"
    ]


@pytest.mark.parametrize("n", [16, 32])
def test_a_wall_shows_all_beds_in_letters_that_can_be_read_from_5_m(
    n: int, new_page: Callable[..., Any], ward: WardInRedis
) -> None:
    """On a full-HD display of 1.21 m width a pixel has 0.63 mm: 10 minutes of arc at 5 m are 14.5 mm, 23 pixels.

    Capitals of the font are 0.72 of its size.
    """
    page = new_page("/?view=wall", viewport={"width": 1920, "height": 1080})
    beds = BEDS[:n]
    ward.beds(beds)
    ward.other("VTACH", "Ventricular tachycardia", "PH", bed_stream=beds[3])
    until(page, f"document.querySelectorAll('.bed').length === {n}")
    _away(page)
    page.locator(f'.bed[data-bed="{beds[3]}"][data-priority=PH]').wait_for()
    boxes = page.evaluate("[...document.querySelectorAll('.bed')].map((bed) => bed.getBoundingClientRect().toJSON())")
    assert all(box["top"] >= 0 and box["bottom"] <= 1080 and box["right"] <= 1920 for box in boxes)
    for part in (".name", ".hr", ".banner strong"):
        size = page.evaluate(
            f"parseFloat(getComputedStyle(document.querySelector('.bed[data-priority=PH] {part}')).fontSize)"
        )
        assert 0.72 * size >= 23, f"{part} of {n} beds: capitals of {0.72 * size:.1f} pixels"


def test_with_reduced_motion_nothing_flashes(new_page: Callable[..., Any], ward: WardInRedis) -> None:
    page = new_page(reduced_motion="reduce")
    ward.bed()
    ward.alert()
    head = page.locator(".alert[data-code=ASYSTOLE] .head")
    head.wait_for()
    assert head.evaluate("x => getComputedStyle(x).animationName") == "none"
    assert head.evaluate("x => getComputedStyle(x).boxShadow") != "none"


def test_a_phone_has_one_column_and_targets_for_a_finger(new_page: Callable[..., Any], ward: WardInRedis) -> None:
    page = new_page("/#alarms", viewport={"width": 390, "height": 844}, has_touch=True)
    ward.bed()
    ward.strip()
    ward.alert(2)
    page.locator(".alert[data-code=ASYSTOLE]").wait_for()
    page.locator("#silent-on").click()
    page.locator("#silent").wait_for(state="hidden")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    page.locator("#reader-text .cite").first.wait_for()
    box = page.locator("#reader-text .cite").first.bounding_box()
    assert min(box["width"], box["height"]) >= 24  # WCAG 2.2, target size
    assert page.locator(".alert[data-code=ASYSTOLE] .ack").first.evaluate("x => x.getBoundingClientRect().height") >= 44


def test_twelve_leads_are_a_page_and_a_cited_interval_outside_it_gets_rows(page: Any, ward: WardInRedis) -> None:
    ward.bed()
    alert = ward.alert(2)
    ward.strip(alert, strip_of_twelve())
    page.locator(".alert[data-code=ASYSTOLE]").wait_for()
    _away(page)
    page.locator(".alert[data-code=ASYSTOLE] .head").click()
    # Given the alarm's own finding, on leads II and V1 over 6.8 s: it is on the rhythm strip of the page
    page.locator("#strip-canvas[data-layout='page']").wait_for()
    # When the layout is changed, then each lead has a row
    page.locator("#reader-layout").click()
    page.locator("#strip-canvas[data-layout='rows']").wait_for()


def test_a_role_that_sees_one_unit_gets_no_other(new_page: Callable[..., Any], ward: WardInRedis) -> None:
    ward.beds(["icu-3/07", "icu-4/1"])
    page = new_page("/?units=main/icu-4")
    page.locator('.bed[data-bed="icu-4/1"]').wait_for()
    ward.other("VTACH", "Ventricular tachycardia", "PH", bed_stream="icu-3/07")
    ward.other("BRADY", "Bradycardia", "PM", bed_stream="icu-4/1")
    page.locator(".alert[data-code=BRADY]").wait_for()
    assert page.locator(".bed").count() == 1
    assert page.locator(".alert[data-code=VTACH]").count() == 0
