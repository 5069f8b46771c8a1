"""Compressions are named beside the alarms of a bed: naming them changes no other alarm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import models.arrhythmia.criteria.signal as technical
from benchmarks.compressions import compressions
from models.arrhythmia.tier import find_episodes
from models.ecg import Ecg
from models.evaluation.splices import scripted

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.skipif(not (DATA / "cudb").exists(), reason="no recordings")
@pytest.mark.parametrize("code", ["VFIB", "ASYSTOLE", "VTACH"])
def test_naming_compressions_suppresses_no_alarm(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    episode = next(s for s in scripted(DATA) if s.code == code)
    fs, n = episode.ecg.fs_hz, episode.ecg.n_samples
    mv = episode.ecg.mv.copy()
    mv[:, episode.onset :] += compressions(n - episode.onset, fs, len(mv), np.random.default_rng(0))
    ecg = Ecg(episode.ecg.leads, fs, mv)
    with_names = find_episodes(ecg)
    monkeypatch.setattr(technical, "repetitive_motion", lambda *_: None)
    without = find_episodes(ecg)
    assert [e for e in with_names if e.code != "NOISY_SIGNAL"] == [e for e in without if e.code != "NOISY_SIGNAL"]
    named = [e for e in with_names if e.code == "NOISY_SIGNAL" and "compressions" in e.evidence[0].criterion.rule]
    assert code != "ASYSTOLE" or named
