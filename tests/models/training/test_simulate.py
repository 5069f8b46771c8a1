"""The simulated ward: leads that agree with each other, rates and intervals as asked, findings by construction."""

from __future__ import annotations

import numpy as np
import pytest

from models.beats.detector import find_beats
from models.corpus.finding_labels import of_challenge, of_ludb, of_scp
from models.leads import STANDARD_12
from models.training.simulate import CONDUCTIONS, REPOLARISATIONS, RHYTHMS, simulate

NORMAL = {"rhythm": "sinus", "conduction": "normal", "repolarisation": "normal"}


def test_the_same_generator_gives_the_same_record() -> None:
    a, b = (simulate(np.random.default_rng(11)) for _ in range(2))
    assert np.array_equal(a.ecg.mv, b.ecg.mv) and a.findings == b.findings


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_einthoven_and_goldberger_hold_in_every_rhythm(rhythm: str) -> None:
    mv = dict(zip(STANDARD_12, simulate(np.random.default_rng(2), rhythm=rhythm).clean_mv, strict=True))
    assert np.allclose(mv["III"], mv["II"] - mv["I"], atol=1e-4)
    assert np.allclose(mv["aVR"], -(mv["I"] + mv["II"]) / 2, atol=1e-4)
    assert np.abs(mv["II"]).max() < 5.0


@pytest.mark.parametrize("rate", [50.0, 75.0, 110.0])
def test_the_rate_is_the_one_asked_for(rate: float) -> None:
    record = simulate(np.random.default_rng(8), rate=rate, **NORMAL)
    r = np.array([b.sample for b in find_beats(record.ecg)])
    assert 60 / np.median(np.diff(r) / 500) == pytest.approx(rate, abs=2.5)


def test_st_elevation_lies_where_it_is_named() -> None:
    def st(repolarisation: str, lead: str) -> float:
        record = simulate(np.random.default_rng(4), rhythm="sinus", conduction="normal", repolarisation=repolarisation)
        beat = next(e for e in record.events if e.kind == "N" and 1.0 < e.at_s < 8.0)
        at = round((beat.at_s + record.intervals["QRS"] / 1000 + 0.06) * 500)
        return float(record.clean_mv[STANDARD_12.index(lead), at])

    assert st("ste_anterior", "V3") - st("normal", "V3") > 0.1
    assert st("ste_inferior", "III") - st("normal", "III") > 0.1
    assert abs(st("ste_inferior", "V2") - st("normal", "V2")) < 0.1


def test_findings_follow_from_what_was_asked_for() -> None:
    rng = np.random.default_rng(0)
    assert simulate(rng, rhythm="afib").findings["AFIB"] and not simulate(rng, **NORMAL).findings["AFIB"]
    left = simulate(rng, rhythm="sinus", conduction="lbbb")
    assert left.findings["LBBB"] and left.findings["CD"] and left.intervals["QRS"] > 120
    assert "STTC" not in left.findings  # its repolarisation is secondary: not for a label to say
    assert simulate(rng, rhythm="avb1", conduction="normal").intervals["PR"] > 200
    assert len(simulate(rng, rhythm="paced").ecg.pacer_marks) >= 7


def test_every_kind_can_be_made() -> None:
    rng = np.random.default_rng(1)
    for conduction in CONDUCTIONS:
        for repolarisation in REPOLARISATIONS:
            made = simulate(rng, rhythm="sinus", conduction=conduction, repolarisation=repolarisation, duration_s=2.0)
            assert np.isfinite(made.ecg.mv).all()


def test_labels_of_the_data_sets() -> None:
    scp = of_scp(["NORM", "SR"], "NORM", "SR")
    assert scp["NORM"] and scp["SINUS"] and not scp["MI"] and scp["T_INVERTED"] is False
    assert "T_INVERTED" not in of_scp(["IMI", "SR"], "MI", "SR")  # not said: not known
    row = dict.fromkeys(("rhythm", "conduction", "extrasystoles", "pacing", "ischemia", "repolarization"), "")
    ludb = of_ludb(row | {"rhythm": "Sinus rhythm", "conduction": "Incomplete right bundle branch block"})
    assert ludb["IRBBB"] and not ludb["RBBB"] and ludb["CD"]
    assert not of_ludb(row | {"conduction": "Iii degree av-block"})["AVB1"]
    assert of_challenge("AF|RBBB") == {"AFIB": True, "RBBB": True, "CD": True, "SINUS": False}
