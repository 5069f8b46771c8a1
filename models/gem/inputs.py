"""An ECG and a question as GEM is given them, in NumPy and plain text: shared by the torch and the ONNX run-time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.ecg import Ecg
from models.encoder.config import FS_HZ, LEADS, SAMPLES
from models.evidence import Evidence
from models.signal.conditioning import to_twelve

Floats = NDArray[np.float32]


def ecg_window(ecg: Ecg, *, parity: bool = False, samples: int = SAMPLES) -> Floats:
    """The tower's input, float32 [12, 5000], mV.

    >>> ecg_window(Ecg(("II",), 360.0, np.ones((1, 3600), np.float32))).shape
    (12, 5000)
    """
    mv = ecg.mv if parity else to_twelve(ecg, FS_HZ)[0]
    if mv.shape[0] != LEADS:
        raise ValueError(f"the ECG has {mv.shape[0]} leads, the tower takes {LEADS}: {', '.join(ecg.leads)}")
    return fixed_length(mv, samples)


def fixed_length(mv: NDArray[Any], samples: int = SAMPLES) -> Floats:
    """[leads, n] → float32 [leads, samples]: what is not finite is 0, padded right, cut right."""
    out = np.zeros((mv.shape[0], samples), np.float32)
    part = mv[:, :samples]
    finite = np.isfinite(part)
    out[:, : part.shape[1]][finite] = part[finite]
    return out


def stated_evidence(
    question: str, evidence: Sequence[Evidence], shown: Sequence[str] = (), found: Sequence[str] | None = None
) -> str:
    """The question with what is known of the ECG behind it, for a model that was trained so (``evidence_in_prompt``).

    Parameters
    ----------
    evidence : sequence of Evidence
        Measured values.
    shown : sequence of str
        What the measurements show, in words.
    found : sequence of str or None
        What the encoder's heads found; empty: nothing; None: they were not asked.

    >>> stated_evidence("What is the rhythm?", [Evidence("HR", 71.6, ("II",), 0, 5000), Evidence("QRS", 92, (), 9, 99)])
    'What is the rhythm?\\nMeasured: HR 72 bpm in II; QRS 92 ms.'
    >>> stated_evidence("What is it?", [Evidence("HR", 71.6, (), 0, 5000)], ("P waves",), ("sinus rhythm",))
    'What is it?\\nMeasured: HR 72 bpm; P waves.\\nFound: sinus rhythm.'
    """
    if not evidence:
        return question
    out = f"{question}\nMeasured: {'; '.join([*(_stated(e) for e in evidence), *shown])}."
    return out if found is None else f"{out}\nFound: {'; '.join(found) or 'nothing'}."


def _stated(e: Evidence) -> str:
    """One value; the lead is named where it is the value of one lead."""
    name = f"{e.wave} wave" if e.wave else e.measure
    digits = ".2f" if e.unit in ("s", "mV", "") else ".0f"
    return f"{name} {e.value:{digits}} {e.unit}".rstrip() + (f" in {e.leads[0]}" if len(e.leads) == 1 else "")
