"""All that a compact GEM is told of a segment: measured values, what they show, and what the encoder's heads found.

One function for the interpreter, the evaluation and the command line, so that the model is asked everywhere as it was
taught. Where the encoder or its heads are missing, nothing is said of findings (`found` is None). No torch.
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
from models.gem.finding_heads import FindingHeads
from models.gem.inputs import ecg_window
from models.grounding.feature_vector import fact_numbers
from models.grounding.prompt_measurements import consistent, shown, stated
from models.grounding.segment_measurements import Facts, gather
from models.leads import independent_leads

ALL_INDEPENDENT = 8  # directions of the twelve leads
PAUSE_S = 2.0  # without a beat: the measurements word it, with its place
OF_ANY_LEAD = frozenset({*RHYTHM, "AVB1"})
"""Findings that may be told of a bed with fewer leads: the others need leads that are not there."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What a prompt states; ``unfit`` says why a compact GEM must not be asked of the segment, empty where it may."""

    evidence: tuple[Evidence, ...]
    shown: tuple[str, ...]
    found: tuple[str, ...] | None
    unfit: str = ""


@dataclass(frozen=True, eq=False)
class FindingReader:
    """An encoder with its heads over measurements and feature.

    Parameters
    ----------
    session : EncoderSession
    heads : FindingHeads
    """

    session: EncoderSession
    heads: FindingHeads

    @classmethod
    def load(cls, folder: Path | None = None, device: str = "cpu", threads: int | None = 1) -> Self | None:
        """From an encoder folder, None for the shipped one; None where no such heads were trained."""
        session = EncoderSession.load(folder, device, threads=threads)
        heads = load_heads(session.folder, session.weights) if session.trained else None
        read = None if heads is None else FindingHeads.read(session.folder, heads)
        return None if read is None else cls(session, read)

    def called(self, ecg: Ecg, facts: Facts) -> dict[str, float]:
        """Findings (keys of `TITLES`) of a segment's first ten seconds, with their probabilities."""
        window = ecg_window(ecg)[None]
        numbers: NDArray[np.float32] = fact_numbers(facts)[None]
        (found,) = self.heads.called(numbers, self.session.pooled(window))
        return found


def tell(
    ecg: Ecg,
    reader: FindingReader | None,
    facts: Facts | None = None,
    *,
    millivolts: bool = True,
    alarmed: bool = False,
    fold: str | None = None,
) -> Telling:
    """What a prompt states of a segment.

    Parameters
    ----------
    reader : FindingReader or None
    facts : Facts, optional
        Of ``ecg``, where they have been gathered already.
    millivolts : bool
        False: the record's scale is unknown, and no voltage is told.
    alarmed : bool
        An alarm rests on this segment: no normal ECG is told of it.
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).
    """
    facts = facts or gather(ecg, fold=fold)
    evidence, words = tuple(stated(facts, millivolts)), shown(facts, millivolts)
    if not evidence:
        return Telling((), (), None, "the compact GEM speaks of beats, and none can be read here")
    pause = facts.longest_rr
    if pause is not None and pause.value >= PAUSE_S:
        return Telling((), (), None, f"the compact GEM was not taught pauses, and here is one of {pause.value:.1f} s")
    if reader is None:
        return Telling(evidence, words, None)
    called = set(reader.called(ecg, facts)) - ({"NORM"} if alarmed else set())
    if independent_leads(ecg.leads, ecg.derived) < ALL_INDEPENDENT:
        called &= OF_ANY_LEAD
    kept = consistent(called, evidence, words)
    return Telling(evidence, words, tuple(TITLES[f] for f in kept))
