"""Rows with replaced inputs: a text that rests on its input loses there; one that ignores its input is found out."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from models.evaluation.ablations import INPUTS, Judged, Shown, ablation_rows
from models.gem.estimates import NOT_READABLE
from models.gem.page_signal import signal_of_image
from models.gem.request import GemRequest
from models.gem.sources import shown_page
from models.grounding.segment_measurements import measure_segment
from models.training.simulate import simulate

RATES = (52.0, 71.0, 96.0, 118.0)


@pytest.fixture(scope="module")
def records() -> list[Judged]:
    made = [
        simulate(np.random.default_rng(k), rhythm="sinus", conduction="normal", rate=r) for k, r in enumerate(RATES)
    ]
    return [Judged(s.ecg, measure_segment(s.ecg), {"SINUS": True, "AFIB": False}) for s in made]


def _of_input(shown: Shown, k: int, evidence: bool) -> str:
    """A reader without fault: it measures its input, else its page."""
    page = shown_page(GemRequest(shown.ecg, page=shown.page, blank_page=shown.blank_page))
    for ecg in (
        shown.ecg,
        shown.ecg.__class__(shown.ecg.leads, 500.0, signal_of_image(page)),
    ):
        measured = measure_segment(ecg)
        if measured.value("HR") is not None:
            values = {name: measured.value(name) for name in ("HR", "PR", "QRS", "QT")}
            return "Sinus rhythm. " + ", ".join(
                f"{n} {v:.0f} {'bpm' if n == 'HR' else 'ms'}" for n, v in values.items() if v
            )
    return NOT_READABLE


def test_a_text_of_its_input_is_right_on_it_and_wrong_on_another(records: list[Judged]) -> None:
    rows = ablation_rows(records, _of_input, ["SINUS"], replaced_every=1)
    assert set(rows) == {f"{mode} evidence, {name}" for mode in ("with", "without") for name in INPUTS}
    own = rows["without evidence, signal and page"]
    assert own["HR"] == own["QRS"] == own["QT"] == own["rhythm"] == own["macro_f1"] == 1.0 and own["stating"] == 1.0
    assert rows["without evidence, blank page"] == own and rows["without evidence, page alone"]["HR"] == 1.0
    assert rows["without evidence, another patient's ECG"]["HR"] == 0.0
    for name in ("zero ECG", "noise", "zero ECG, blank page"):
        row = rows[f"without evidence, {name}"]
        assert row["cannot_be_read"] == 1.0 and row["stating"] == 0.0 and row["HR"] == row["rhythm"] == 0.0


def test_a_text_that_ignores_its_input_is_found_out(records: list[Judged]) -> None:
    rows = ablation_rows(
        records, lambda shown, k, evidence: f"Sinus rhythm. HR {RATES[k]:.0f} bpm.", ["SINUS"], replaced_every=1
    )
    for name in ("another patient's ECG", "zero ECG"):
        row = rows[f"with evidence, {name}"]
        assert row["HR"] == 1.0 and row["stating"] == 1.0 and row["cannot_be_read"] == 0.0 and row["QRS"] == 0.0
