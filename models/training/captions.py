"""Short captions for pre-training: findings and rounded measurements of a record as words of a small vocabulary.

As in ECG-CoCa's waveform extra, the report is followed by machine measurements; here they are rounded to steps, so that
similar records share words. Each finding known to be present has its words; unknown findings have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.corpus.finding_labels import FindingLabels
from models.finding_names import FINDINGS, TITLES

CONTEXT = 32
_STEPS = {"HR": (5, 20, 220), "PR": (20, 80, 360), "QRS": (10, 60, 220), "QT": (20, 200, 640)}  # step, lowest, highest
_SPECIAL = ("<pad>", "<s>", "</s>")


def _words() -> list[str]:
    words = [w for title in TITLES.values() for w in title.lower().split()]
    numbers = [
        f"{name.lower()}={v}" for name, (step, low, high) in _STEPS.items() for v in range(low, high + step, step)
    ]
    return [*_SPECIAL, ".", *dict.fromkeys(words), *numbers]


WORDS = tuple(_words())
"""The vocabulary; index 0 pads."""
_INDEX = {word: k for k, word in enumerate(WORDS)}
PAD, START, STOP = 0, 1, 2


def caption(labels: FindingLabels, intervals: Mapping[str, float], rng: np.random.Generator | None = None) -> str:
    """Caption of the findings that are present and of the measurements, in random order where a generator is given.

    >>> caption({"SINUS": True, "LBBB": False, "AVB1": True}, {"HR": 71.6, "PR": 231.0})
    'sinus rhythm . first-degree av block . hr=70 pr=240'
    """
    named = [f for f in FINDINGS if labels.get(f)]
    numbers = [name for name in _STEPS if name in intervals]
    if rng is not None:
        rng.shuffle(named)
        rng.shuffle(numbers)
    parts = [TITLES[f].lower() for f in named]
    words = []
    for name in numbers:
        step, low, high = _STEPS[name]
        words.append(f"{name.lower()}={int(np.clip(round(intervals[name] / step) * step, low, high))}")
    return " . ".join([*parts, " ".join(words)] if words else parts)


def tokens(texts: Sequence[str]) -> NDArray[np.int64]:
    """[texts, CONTEXT] word indices between start and stop, padded; longer texts are cut."""
    out = np.full((len(texts), CONTEXT), PAD, np.int64)
    for row, text in zip(out, texts, strict=True):
        ids = [START, *(_INDEX[w] for w in text.split()[: CONTEXT - 2]), STOP]
        row[: len(ids)] = ids
    return out
