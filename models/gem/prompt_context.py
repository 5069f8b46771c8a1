"""Prompt context of a compact GEM: measured values, their descriptors, and the findings of the encoder's heads.

Input: an `Ecg` and a `FindingPredictor`. Output: `PromptContext`. The interpreter, the evaluation and the command line
use this one function, so that the model is asked everywhere as it was trained. Without an encoder or its heads
``findings`` is None. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.ecg import Ecg
from models.encoder.heads import load_heads
from models.encoder.session import EncoderSession
from models.evidence import Evidence
from models.finding_names import RHYTHM, TITLES
from models.gem.ecg_window import ecg_window
from models.gem.finding_heads import FindingHeads
from models.gem.measuring_session import MeasuringSession
from models.grounding.feature_vector import feature_vector
from models.grounding.prompt_measurements import (
    consistent_findings,
    descriptors_with,
    prompt_descriptors,
    prompt_measurements,
)
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment
from models.leads import independent_leads
from models.normal_limits import PAUSE_S

ALL_INDEPENDENT = 8  # directions of the twelve leads
OF_ANY_LEAD = frozenset({*RHYTHM, "AVB1"})
"""Findings that a bed with fewer leads can have in its prompt: the others need the absent leads."""


@dataclass(frozen=True, slots=True)
class PromptContext:
    """Context of one segment in the prompt.

    Attributes
    ----------
    measurements : tuple of Evidence
    descriptors : tuple of str
        Words for the measurements.
    findings : tuple of str or None
        Findings of the encoder's heads, in words; None without heads.
    unsuitable : str
        Why a compact GEM must not be asked about the segment; empty where it can be.
    """

    measurements: tuple[Evidence, ...]
    descriptors: tuple[str, ...]
    findings: tuple[str, ...] | None
    unsuitable: str = ""


@dataclass(frozen=True, eq=False)
class FindingPredictor:
    """Encoder with heads on its pooled feature, on the feature vector of the measurements and on the measuring tower.

    Parameters
    ----------
    session : EncoderSession
    heads : FindingHeads
    tower : MeasuringSession or None
        None where the heads were fitted without one.
    """

    session: EncoderSession
    heads: FindingHeads
    tower: MeasuringSession | None = None

    @classmethod
    def load(cls, folder: Path | None = None, device: str = "cpu", threads: int | None = 1) -> Self | None:
        """Load from an encoder folder (None: the shipped one); None where no such heads were trained.

        Raises
        ------
        ValueError
            The heads were fitted with the measuring tower of another GEM than the shipped one.
        """
        session = EncoderSession.load(folder, device, threads=threads)
        heads = load_heads(session.folder, session.weights) if session.trained else None
        read = None if heads is None else FindingHeads.read(session.folder, heads)
        if read is None or not read.tower_share:
            return None if read is None else cls(session, read)
        tower = MeasuringSession.load(threads=threads)
        if tower is None or tower.weights != read.tower:
            found = "the shipped GEM has none" if tower is None else f"the shipped one is {tower.weights}"
            raise ValueError(
                f"the finding heads of {session.folder} were fitted with the measuring tower of {read.tower}, {found}: "
                "python -m models.training.fit_finding_heads fits them anew"
            )
        return cls(session, read, tower)

    def predict(self, ecg: Ecg, measured: SegmentMeasurements) -> dict[str, float]:
        """Findings (keys of `TITLES`) in the first 10 s of a segment, with their probabilities."""
        window = ecg_window(ecg)[None]
        numbers: NDArray[np.float32] = feature_vector(measured)[None]
        tower = None if self.tower is None else self.tower.findings(window)
        (found,) = self.heads.called(numbers, self.session.pooled(window), tower)
        return found


def build_prompt_context(
    ecg: Ecg,
    predictor: FindingPredictor | None,
    measured: SegmentMeasurements | None = None,
    *,
    millivolts: bool = True,
    alarmed: bool = False,
    fold: str | None = None,
) -> PromptContext:
    """Prompt context of a segment.

    Parameters
    ----------
    predictor : FindingPredictor or None
    measured : SegmentMeasurements, optional
        Of ``ecg``, where they are known already.
    millivolts : bool
        False: the scale of the record is unknown, and no voltage is listed.
    alarmed : bool
        The segment carries an alarm: "normal ECG" is never listed.
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).
    """
    measured = measured or measure_segment(ecg, fold=fold)
    evidence, words = tuple(prompt_measurements(measured, millivolts)), prompt_descriptors(measured, millivolts)
    if not evidence:
        return PromptContext((), (), None, "the compact GEM describes beats; none can be measured in this segment")
    pause = measured.longest_rr
    if pause is not None and pause.value >= PAUSE_S:
        return PromptContext(
            (), (), None, f"the compact GEM was not trained on pauses; this segment has one of {pause.value:.1f} s"
        )
    if predictor is None:
        return PromptContext(evidence, words, None)
    probability = predictor.predict(ecg, measured)
    called = set(probability) - ({"NORM"} if alarmed else set())
    if independent_leads(ecg.leads, ecg.derived) < ALL_INDEPENDENT:
        called &= OF_ANY_LEAD
    kept = consistent_findings(called, evidence, words, probability)
    return PromptContext(evidence, descriptors_with(kept, evidence, words), tuple(TITLES[f] for f in kept))
