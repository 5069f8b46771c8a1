"""The drawn page: where the trace lies, what is marked, what is absent, and how long it takes."""

from __future__ import annotations

import time

import numpy as np

from models.ecg import Ecg
from models.gem.page import (
    MARK,
    PX_PER_MV,
    PX_PER_S,
    Mark,
    as_image,
    people_layout,
    people_page,
    reference_layout,
    reference_page,
)
from models.leads import STANDARD_12

LIMIT_MS = 15.0


def flat(leads: tuple[str, ...] = STANDARD_12, mv: float = 0.0, fs_hz: float = 500.0) -> Ecg:
    return Ecg(leads, fs_hz, np.full((len(leads), round(10 * fs_hz)), mv, np.float32))


def rows_of_ink(page: np.ndarray, column: int) -> np.ndarray:
    return np.flatnonzero(page[1:-1, column, 0] < 128) + 1


def test_the_reference_page_is_letter_size_at_200_dots_an_inch() -> None:
    assert reference_page(flat()).shape == (1700, 2200, 3)


def test_a_flat_trace_is_two_pixels_thick_on_its_zero_line() -> None:
    page, zero = reference_page(flat()), reference_layout().panels[0].y
    rows = rows_of_ink(page, 1000)[:2]
    assert np.abs(rows + 0.5 - zero).max() <= 1.5


def test_one_millivolt_is_78_7_pixels_up() -> None:
    low, high = rows_of_ink(reference_page(flat()), 1000), rows_of_ink(reference_page(flat(mv=1.0)), 1000)
    assert abs((low[0] - high[0]) - PX_PER_MV) <= 1


def test_a_spike_of_one_sample_reaches_its_full_height_in_its_own_column() -> None:
    ecg = flat()
    ecg.mv[0, 2500] = 1.0
    panel = reference_layout().panels[0]
    column = int(panel.x + 5.0 * PX_PER_S)
    top = rows_of_ink(reference_page(ecg), column)[0]
    assert abs(top - (panel.y - PX_PER_MV)) <= 1.5


def test_any_sampling_rate_is_drawn_to_the_same_scale() -> None:
    for fs_hz in (100.0, 250.0, 1000.0, 2000.0):
        rows = rows_of_ink(reference_page(flat(fs_hz=fs_hz)), 2000)
        assert len(rows) >= 12 * 2


def test_a_gap_is_left_empty() -> None:
    ecg = flat()
    ecg.mv[:, 1000:2000] = np.nan
    page, panel = reference_page(ecg), reference_layout().panels[0]
    assert len(rows_of_ink(page, int(panel.x + 3.0 * PX_PER_S))) == 0
    assert len(rows_of_ink(page, int(panel.x + 5.0 * PX_PER_S))) >= 24


def test_a_lead_that_is_absent_is_named_so_and_not_drawn() -> None:
    without_v6 = flat(STANDARD_12[:-1])
    panel = reference_layout().panels[-1]
    page = reference_page(without_v6)
    assert len(rows_of_ink(page[round(panel.y - 30) : round(panel.y + 30)], 1500)) == 0


def test_people_get_three_rows_of_four_and_a_strip() -> None:
    layout = people_layout(STANDARD_12)
    assert len(layout.panels) == 13
    assert [p.lead for p in layout.panels if p.start_s == 0 and p.stop_s == 2.5] == ["I", "II", "III"]
    assert layout.panels[-1] == layout.lead_panels("II")[-1]


def test_fewer_leads_get_a_row_each_and_keep_their_names() -> None:
    layout = people_layout(("II", "V"))
    assert [(p.lead, p.stop_s - p.start_s) for p in layout.panels] == [("II", 10.0), ("V", 10.0)]
    assert people_page(flat(("II", "V"))).shape[1] == 2200


def test_a_marked_span_is_coloured_in_its_lead_and_time_only() -> None:
    page = people_page(flat(("II", "V")), [Mark("V", 3.0, 4.0, "1")])
    layout = people_layout(("II", "V"))
    marked = (page == np.array(MARK, np.uint8)).all(axis=2)
    rows, columns = np.nonzero(marked)
    panel = layout.lead_panels("V")[0]
    for edge, at_s in ((columns.min(), 3.0), (columns.max(), 4.0)):  # a line of the grid may hide the very edge
        assert abs(edge - (panel.x + at_s * PX_PER_S)) <= 4
    assert rows.min() > panel.y - 1.1 * PX_PER_MV and rows.max() < panel.y + 0.6 * PX_PER_MV


def test_a_mark_outside_the_displayed_quarter_gets_a_row_of_its_own() -> None:
    layout = people_layout(STANDARD_12, [Mark("V2", 0.5, 1.0)])  # V2 is displayed from 5.0 s to 7.5 s
    assert [p.stop_s - p.start_s for p in layout.lead_panels("V2")] == [2.5, 10.0]


def test_a_page_as_an_image_has_the_same_pixels() -> None:
    ecg = flat(mv=0.5)
    page = people_page(ecg, [Mark("II", 1.0, 2.0, "3")])
    assert np.array_equal(np.asarray(as_image(page)), page)
    assert np.array_equal(np.asarray(as_image(np.ascontiguousarray(page))), page)


def test_a_page_takes_no_longer_than_15_ms_of_one_core() -> None:
    rng = np.random.default_rng(0)
    beats = np.sin(np.linspace(0, 24 * np.pi, 5000)) ** 31
    ecg = Ecg(STANDARD_12, 500.0, (beats + rng.normal(0, 0.02, (12, 5000))).astype(np.float32))
    reference_page(ecg)
    took = []
    for _ in range(15):
        start = time.thread_time()
        reference_page(ecg)
        took.append(1000 * (time.thread_time() - start))
    assert min(took) <= LIMIT_MS
