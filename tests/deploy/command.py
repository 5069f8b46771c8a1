"""Runs ``gem-bedside`` as a user does: a process, its standard output, its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from deploy.ward import RhythmPhase, Waves, r_peaks
from deploy.ward_signal import FS_HZ, bedside_noise, lay_beats
from models.ecg import Ecg
from models.leads import STANDARD_12

DONE, FAILED, WRONG_USE, MISSING = 0, 1, 2, 3
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Ran:
    """Exit status and output of a command."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON, one object a line; fails where anything else is there."""
        return [json.loads(line) for line in self.out.splitlines()]


def gem_bedside(*arguments: object, **settings: object) -> Ran:
    """Run a command; settings without their prefix, as ``kafka="…"``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GEM_BEDSIDE_")}
    environment |= {f"GEM_BEDSIDE_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "deploy.cli", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def simulated(phases: list[RhythmPhase], seconds: float) -> tuple[Ecg, np.ndarray]:
    """A 12-lead ECG with a known rhythm, and its R samples; the beats are plain triangles, which need no simulation."""
    r, _ = r_peaks(phases, seed=3)
    r = r[(r > 200) & (r < seconds * FS_HZ - 400)]
    beat = np.zeros((12, 510), np.float32)
    for centre, width, height in ((-80, 16, 0.12), (0, 8, 1.2), (140, 40, 0.3)):  # P, R, T around R at sample 180
        span = np.arange(-width, width + 1)
        beat[:, 180 + centre + span] += height * (1 - np.abs(span) / width)
    n = round(seconds * FS_HZ)
    return Ecg(STANDARD_12, FS_HZ, lay_beats(n, r, [beat] * len(r)) + bedside_noise(n, 5)), r


STEADY = [RhythmPhase(0, 60, Waves())]
STANDSTILL = [RhythmPhase(0, 72, Waves()), RhythmPhase(10, 0, Waves()), RhythmPhase(22, 72, Waves())]


def write_csv(ecg: Ecg, path: Path) -> Path:
    """A CSV file with a header row of lead names, mV."""
    np.savetxt(path, ecg.mv.T, delimiter=",", header=",".join(ecg.leads), comments="", fmt="%.4f")
    return path


def write_wfdb(ecg: Ecg, path: Path) -> Path:
    """A WFDB record; the path without extension."""
    wfdb.wrsamp(
        path.name, fs=ecg.fs_hz, units=["mV"] * len(ecg.leads), sig_name=list(ecg.leads),
        p_signal=ecg.mv.T.astype(float), fmt=["16"] * len(ecg.leads), write_dir=str(path.parent),
    )  # fmt: skip
    return path
