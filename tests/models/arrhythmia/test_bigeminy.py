"""Sustained bigeminy and trigeminy: recognised for as long as they last, with the number of ventricular beats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from models.arrhythmia.tier import RhythmTier, update_chunks
from models.ecg import Ecg
from models.records import read_record

pytestmark = pytest.mark.data

FS_HZ = 360.0
LEAD_IN_S = 60.0  # sinus rhythm before
BEFORE_R_S = 0.24  # a cycle begins this long before its first R peak: before the P wave
NORMAL, BEATS = "NLR", "NLRBAaJSVrFejnE/fQ?"


def spliced(data: Path, record: str, cycle: str, seconds: float) -> tuple[Ecg, float]:
    """The record's own N-N cycles for a minute, then its own cycles such as NV one after the other; and V beats/min."""
    path = data / "mitdb" / "data" / record
    mv, marks = read_record(path).mv, wfdb.rdann(str(path), "atr")
    beats = [(r, "N" if s in NORMAL else s) for r, s in zip(marks.sample, marks.symbol, strict=True) if s in BEATS]
    symbols, before = "".join(s for _, s in beats), round(BEFORE_R_S * FS_HZ)

    def cycles(pattern: str) -> list[np.ndarray]:
        n = len(pattern)
        starts = [k for k in range(1, len(beats) - n) if symbols[k : k + n + 1] == pattern + "N"]
        return [mv[:, beats[k][0] - before : beats[k + n][0] - before] for k in starts]

    parts: list[np.ndarray] = []
    total, level, counted = 0, np.zeros(len(mv)), 0
    for pattern, until_s in (("N", LEAD_IN_S), (cycle, LEAD_IN_S + seconds)):
        found, k = cycles(pattern), 0
        while total < until_s * FS_HZ:
            part = found[k % len(found)]
            drift = (part[:, -1] - part[:, 0])[:, None] * np.linspace(0.0, 1.0, part.shape[1])
            parts.append(part - drift + (level - part[:, 0])[:, None])  # joined without a step
            level, total, k = parts[-1][:, -1], total + part.shape[1], k + 1
        counted = k
    ecg = Ecg(("II", "V1"), FS_HZ, np.concatenate(parts, axis=1).astype(np.float32))
    return ecg, 60.0 * counted / seconds


@pytest.mark.parametrize(
    ("cycle", "code", "name"),
    [("NV", "VBIGEMINY", "ventricular bigeminy"), ("NNV", "VTRIGEMINY", "ventricular trigeminy")],
)
def test_bigeminy_lasts_as_long_as_it_lasts(data_home: Path, cycle: str, code: str, name: str) -> None:
    """Beats of record 119. A template of all beats became one of both kinds after a minute, and no beat was ectopic."""
    ecg, ventricular_per_min = spliced(data_home, "119", cycle, 150.0)
    tier = RhythmTier(ecg.leads, FS_HZ)
    results = [tier.push(chunk) for chunk in update_chunks(ecg)]
    during = [r for r in results if r.now / FS_HZ > LEAD_IN_S + 15.0]
    assert {r.rhythm for r in during} == {name}
    assert len({e.key for r in during for e in r.episodes if e.code == code}) == 1
    counted = [r.pvc_per_min for r in results if r.now / FS_HZ > LEAD_IN_S + 62.0]
    assert all(n is not None and abs(n - ventricular_per_min) <= 0.1 * ventricular_per_min for n in counted)
