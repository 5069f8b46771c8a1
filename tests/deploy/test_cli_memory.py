"""An hour of twelve leads at 500 Hz stays under 250 MB resident."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import edfio
import numpy as np
import pytest

from tests.deploy.command import STEADY, simulated

MAX_RESIDENT_MB = 250.0
_CHILD = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "deploy.cli", *sys.argv[1:]], stdout=open("answer.json", "w"), check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6)
"""


def write_hour(path: Path, n: int) -> Path:
    """Twelve leads at 500 Hz with a beat a second."""
    ecg, _ = simulated(STEADY, 60.0)
    minute = ecg.mv[:, :29_000]
    mv = np.tile(minute, (1, n // minute.shape[1] + 1))[:, :n] + np.random.default_rng(6).normal(0, 0.01, (12, n))
    if path.suffix == ".edf":
        edfio.Edf(
            [edfio.EdfSignal(row, sampling_frequency=500, label=f"ECG {lead}", physical_dimension="mV")
             for lead, row in zip(ecg.leads, mv, strict=True)], data_record_duration=1.0
        ).write(path)  # fmt: skip
        return path
    import wfdb

    wfdb.wrsamp(
        path.name, fs=500, units=["mV"] * 12, sig_name=list(ecg.leads), p_signal=mv.T, fmt=["16"] * 12,
        write_dir=str(path.parent),
    )  # fmt: skip
    return path


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", ["measure", "alarms"])
@pytest.mark.parametrize("name", ["hour", "hour.edf"])
def test_an_hour_of_twelve_leads(tmp_path: Path, name: str, command: str) -> None:
    path = write_hour(tmp_path / name, 3600 * 500)
    child = [sys.executable, "-c", _CHILD, command, str(path), "--json"]
    done = subprocess.run(child, capture_output=True, text=True, check=True, cwd=tmp_path)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["fs"] == 500.0
    if command == "measure":
        assert len(answer["beats"]) > 3000
    assert float(done.stdout) < MAX_RESIDENT_MB
