"""Every dialect of channel labels is read as the lead it names; labels of other signals are never read as one."""

from __future__ import annotations

import pytest

from models.record_formats.labels import ecg_lead, other_kind
from models.record_formats.units import mv_per_unit

TWELVE = {
    "I": ("I", "i", "Lead I", "lead i", "LEAD_I", "LI", "D1", "DI", "I-Ref", "ECG I", "ECG I-Ref", "EKG-I", "I (ECG)",
          "MDC_ECG_LEAD_I", "Abl. I"),
    "II": ("II", "Lead II", "LII", "ecg ii", "ECG II", "ECG_II", "ECGII", "D2", "DII", "MLII", "II-Ref", "ECG (II)",
           "ECG Lead II", "MDC_ECG_LEAD_II", "Ableitung II", " II "),
    "III": ("III", "D3", "DIII", "LIII", "ECG III"),
    "aVR": ("aVR", "avr", "AVR", "a VR", "ECG aVR", "VR", "MDC_ECG_LEAD_AVR", "MDC_ECG_LEAD_aVR"),
    "aVF": ("lead aVF", "EKG AVF"),
    "V1": ("V1", "v1", "EKG-V1", "EKGV1", "ECG:V1", "V1-Ref", "MDC_ECG_LEAD_V1"),
}  # fmt: skip
RHYTHM = ("ECG", "EKG", "ECG1", "ECG 2", "V", "MCL1", "MCL", "CM5", "mod.V1", "V7", "V3R", "MV2", "Lead 1", "V2-V3",
          "E-S", "ecg_filtered", "Electrocardiogram")  # fmt: skip
OTHER = {
    "EEG": ("EEG Fpz-Cz", "EEG", "C3", "C4-M1", "O1", "Fpz", "T3", "Cz", "P4", "F3-M2", "A1"),
    "EOG": ("EOG left", "LOC", "E1-M2"),
    "EMG": ("EMG chin", "Chin1-Chin2", "LEG"),
    "respiration": ("RESP", "Resp nasal", "Airflow", "ABD", "CHEST", "Thorax"),
    "pulse wave": ("PLETH", "Pleth", "SpO2", "SaO2", "Pulse"),
    "pressure": ("ABP", "ART", "CVP", "BP", "ICP"),
    "status or marker": ("Status", "marker", "Trigger", "ECG Status", "Event"),
    "noise": ("noise1",),
    None: ("foo", "ch1", "x", "value", "lead_off", ""),
}


@pytest.mark.parametrize(("lead", "label"), [(lead, label) for lead, labels in TWELVE.items() for label in labels])
def test_the_twelve_leads_in_every_dialect(lead: str, label: str) -> None:
    assert ecg_lead(label) == lead


@pytest.mark.parametrize("label", RHYTHM)
def test_a_rhythm_lead_keeps_its_own_name(label: str) -> None:
    assert ecg_lead(label) == label


def test_an_ecg_prefix_before_a_rhythm_lead_goes() -> None:
    assert [ecg_lead(x) for x in ("ECG MCL1", "ECG V")] == ["MCL1", "V"]


@pytest.mark.parametrize(("kind", "label"), [(kind, label) for kind, labels in OTHER.items() for label in labels])
def test_other_signals_are_no_ecg_lead(kind: str | None, label: str) -> None:
    assert ecg_lead(label) is None
    assert other_kind(label) == kind


@pytest.mark.parametrize(
    ("unit", "mv"),
    [("mV", 1.0), ("mv", 1.0), ("millivolts", 1.0), ("V", 1e3), ("uV", 1e-3), ("µV", 1e-3), ("μV", 1e-3), ("nV", 1e-6),
     ("Âµ" + "V", 1e-3), (" uV ", 1e-3), ("microvolt", 1e-3), ("MDC_DIM_MICRO_VOLT", 1e-3), ("", None), ("mmHg", None),
     ("NU", None), ("?V", None)],
)  # fmt: skip
def test_units_of_voltage(unit: str, mv: float | None) -> None:
    assert mv_per_unit(unit) == mv
