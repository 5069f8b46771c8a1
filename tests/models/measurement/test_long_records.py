"""A long record is measured in segments, with the answer that it has as a whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.ecg import Ecg
from models.measurement import long_records
from models.measurement.delineation import Fiducials
from models.measurement.fiducials import FiducialTable
from models.measurement.measure import Measurement, measure
from models.signal.quality import INCONSISTENT, lead_quality

FS = 250.0
LEADS = ("I", "II", "III", "V1")


def three_minutes(conflict: bool = False) -> Ecg:
    """Beats of triangles at about 80 a minute with noise; III is II - I, or not."""
    rng, n = np.random.default_rng(4), round(180 * FS)
    ii = rng.normal(0, 0.01, n)
    at = 200
    while at < n - 200:
        for centre, width, height in ((-40, 10, 0.15), (0, 6, 1.2), (70, 25, 0.3)):  # P, R, T
            span = np.arange(-width, width + 1)
            ii[at + centre + span] += height * (1 - np.abs(span) / width)
        at += round(rng.normal(187, 6))
    i, v1 = 0.6 * ii + rng.normal(0, 0.01, n), -0.8 * ii + rng.normal(0, 0.01, n)
    mv = np.stack([i, ii, i + ii if conflict else ii - i, v1]).astype(np.float32)
    mv[3, 20_000:22_000] = np.nan
    return Ecg(LEADS, FS, mv)


def in_segments(ecg: Ecg, monkeypatch: pytest.MonkeyPatch, start_s: float | None = None) -> Measurement:
    """Measured as a long record is: in segments of 20 s."""
    with monkeypatch.context() as small:
        small.setattr(long_records, "WHOLE_VALUES", 1000)
        small.setattr(long_records, "SEGMENT_VALUES", round(20 * FS) * len(LEADS))
        return measure(ecg, start_s)


def test_segments_give_the_answer_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    ecg = three_minutes()
    whole, parts = measure(ecg), in_segments(ecg, monkeypatch)
    assert len(whole.beats) > 200
    assert parts.to_json() == whole.to_json()
    assert json.loads(json.dumps({**parts.to_json_parts(), "beats": list(parts.to_json_parts()["beats"])})) == (
        whole.to_json()
    )


def test_a_stretch_of_a_long_record_needs_its_own_segments_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ecg = three_minutes()
    assert in_segments(ecg, monkeypatch, 150.0).to_json()["beats"] == measure(ecg, 150.0).to_json()["beats"]


def test_quality_lead_by_lead_is_that_of_all_leads_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Einthoven's law needs three leads at once."""
    ecg = three_minutes(conflict=True)
    monkeypatch.setattr(long_records, "WHOLE_VALUES", 1000)
    marks = long_records.record_quality(ecg, 500, 40_000)
    assert marks == lead_quality(ecg.mv[:, 500:40_000], FS, LEADS)
    assert [mark.state for mark in marks[:3]] == [INCONSISTENT] * 3


def test_a_fiducial_table_is_a_mapping_of_its_fiducials() -> None:
    leads = {"I": Fiducials(p_on=3, qrs_on=5, t_off=90), "II": Fiducials(qrs_on=4, qrs_off=14)}
    table = FiducialTable.of(leads)
    assert dict(table) == leads
    assert table.get("V1") is None
    assert table.without_p()["I"] == Fiducials(qrs_on=5, t_off=90)
    assert table["I"].p_on == 3
    assert table.mark("p_on", ("I", "II"))[0] == table.mark("p_on", ("II", "I", "V1"))[1] == 3
    assert np.isnan(table.mark("p_on", ("II", "V1"))).all()
