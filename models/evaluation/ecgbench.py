"""ECG-Bench metrics as the reference computes them, and a strict variant beside each.

The reference's functions have quirks that move scores (labels are found as substrings, so that MI is found in MINOR;
an ECG-QA answer is right when it has the same set of characters). Published figures carry them, so they are kept here
under the plain names; the ``strict_`` functions score what was meant. Nothing here needs scikit-learn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PTB_LABELS = ("NORM", "MI", "STTC", "CD", "HYP")
CPSC_LABELS = ("NORM", "AF", "I-AVB", "LBBB", "RBBB", "PAC", "PVC", "STD", "STE")
CODE15_LABELS = ("NORM", "ABNORMAL", "1dAVb", "RBBB", "LBBB", "SB", "ST", "AF")
LETTERS = "ABCDEFGH"

LabelLists = Sequence[Sequence[str]]


class MultiLabel(NamedTuple):
    """Scores of a multi-label task, each 0 to 1."""

    f1: float
    """Macro F1; a label that is neither present nor predicted counts 0, as in scikit-learn."""
    auc: float
    """Macro AUC of the yes-or-no predictions, which is the mean of sensitivity and specificity; NaN where a label is
    never there or always."""
    hamming: float
    """Share of labels that are wrong."""


def multi_label(labels: Sequence[str], true: LabelLists, predicted: LabelLists) -> MultiLabel:
    """Scores over records; each record is the list of its labels.

    >>> multi_label(["A", "B"], [["A"], ["B"]], [["A"], ["A", "B"]])
    MultiLabel(f1=0.8333333333333333, auc=0.75, hamming=0.25)
    """
    t, p = _one_hot(labels, true), _one_hot(labels, predicted)
    hit = (t & p).sum(axis=0)
    predicted, there, absent = p.sum(axis=0), t.sum(axis=0), (~t).sum(axis=0)
    f1 = np.divide(2 * hit, predicted + there, out=np.zeros(len(labels)), where=predicted + there > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (hit / there + (~t & ~p).sum(axis=0) / absent) / 2
    return MultiLabel(float(f1.mean()), float(auc.mean()), float((t != p).mean()))


def find_labels(text: str, labels: Sequence[str]) -> list[str]:
    """LabelLists that stand anywhere in the text, case-sensitive: MI is found in MINOR, NORM in ABNORMAL."""
    return [label for label in labels if label in text]


def strict_labels(text: str, labels: Sequence[str]) -> list[str]:
    """LabelLists that stand as words of their own, in any case.

    >>> strict_labels("ABNORMAL with minor changes; HYP.", PTB_LABELS)
    ['HYP']
    """
    return [label for label in labels if re.search(rf"(?<![\w-]){re.escape(label)}(?![\w-])", text, re.IGNORECASE)]


def code15_labels(text: str) -> list[str]:
    """LabelLists of CODE-15 in what follows ``Answer:`` (the whole text where it is not there)."""
    answer = text.split("Answer:")[-1]
    found = find_labels(answer, CODE15_LABELS)
    # NORM is a part of ABNORMAL: of the two only the one that is meant counts.
    return [label for label in found if label != "NORM" or "ABNORMAL" not in found]


TASKS: dict[str, tuple[tuple[str, ...], Callable[[str], list[str]]]] = {
    "ptb": (PTB_LABELS, lambda text: find_labels(text, PTB_LABELS)),
    "cpsc": (CPSC_LABELS, lambda text: find_labels(text, CPSC_LABELS)),
    "code15": (CODE15_LABELS, code15_labels),
}
"""The multi-label tasks: their labels, and how the reference finds them in a text."""


def option_letter(text: str) -> str | None:
    """The letter of a multiple-choice answer, by the reference's rules in their order; None where it would guess.

    >>> option_letter("The ECG. shows")
    'G'
    """
    if len(text) == 1 and text in LETTERS:
        return text
    for letter in LETTERS:
        if f"{letter}." in text:
            return letter
    predicted = re.search(rf"The correct option is ([{LETTERS}])", text)
    if predicted:
        return predicted[1]
    answer = text.partition("Answer:")[2]
    return next((letter for letter in LETTERS if letter in answer), None)


def strict_letter(text: str) -> str | None:
    """The letter that stands by itself, alone or before a full stop, bracket or colon; None for none or several.

    >>> strict_letter("Lead V1. A. Yes"), strict_letter("The ECG. shows"), strict_letter("I think A. or B.")
    ('A', None, None)
    """
    found = set(re.findall(rf"(?<!\w)([{LETTERS}])(?=[.):]|$)(?!\w)", text.strip()))
    found |= set(re.findall(rf"(?:option is|Answer:)\s*\(?([{LETTERS}])(?!\w)", text))
    return found.pop() if len(found) == 1 else None


def prompt_options(prompt: str) -> list[str]:
    """The options that a question of ECG-QA lists."""
    listed = prompt.partition("Options:")[2]
    listed = re.split(r"\.?\s*Only answer based on", listed)[0]
    return [option.strip() for option in listed.split(",") if option.strip()]


def ecgqa_right(golden: str, prompt: str, text: str) -> bool:
    """Whether the options found in the answer have the golden answer's set of characters ("no" passes for "on")."""
    found = [option for option in prompt_options(prompt) if option.lower() in text.lower()]
    return set("".join(found)) == set(golden)


def strict_ecgqa_right(golden: str, prompt: str, text: str) -> bool:
    """Whether the options named as words of their own are exactly the golden ones.

    >>> strict_ecgqa_right("lead I", "Options: lead I, lead II", "lead II")
    False
    """
    options = prompt_options(prompt)
    named = {option.lower() for option in strict_labels(text, options)}
    # "not sure" names "not sure", not "no" too: an option inside a longer one that was named does not count.
    named = {a for a in named if not any(a != b and a in b for b in named)}
    return named == {part.strip().lower() for part in golden.split(",")}


def accuracy(right: Sequence[bool]) -> float:
    """Share of right answers."""
    return sum(right) / len(right)


def _one_hot(labels: Sequence[str], records: LabelLists) -> NDArray[np.bool_]:
    rows = [[label in record for label in labels] for record in records]
    return np.array(rows, bool).reshape(len(records), len(labels))
