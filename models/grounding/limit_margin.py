"""By how much evidence meets the limit of its rule: the one place that knows on which side of a limit a value belongs.

Input: an `Evidence` with its `Criterion`. Output: the margin in the unit of the measure, negative where the value lies
on the other side; detection may act there, within measuring accuracy, and a text says so. Rules whose limit is of
another measure (a number of beats, a time over which something holds) have no margin.
"""

from __future__ import annotations

import re

from models.evidence import Evidence
from models.grounding.phrases import displayed

OF_THE_MEASURE = {
    "HR": r"\bbpm\b",
    "RR": r"no beat for|RR over|pause over|times the mean",
    "SILENCE": r"no beat for|RR over|pause over|times the mean|no verdict for",
    "QTcF": r"QTcF over",
    "QRS": r"QRS over",
    "PR": r"PR over",
    "ST": r"off baseline",
}
"""Measure to the words of a rule whose limit is of this measure."""
BELOW = re.compile(r"slower than|under|up to")  # of a rule: its values lie under the limit
ST_BASELINE = re.compile(r"baseline of \w+ (-?[\d.]+) mV")  # of a rule: the level from which ST is measured


def margin(evidence: Evidence, value: float | None = None) -> float | None:
    """By how much the value meets the limit of its rule; negative on the other side, None where it is not comparable.

    Parameters
    ----------
    evidence : Evidence
    value : float, optional
        Instead of the evidence's own.

    >>> from models.evidence import Criterion
    >>> rule = Criterion("no beat for 4 s or longer", 4.0, "CinC 2015", 0.5)
    >>> round(margin(Evidence("SILENCE", 3.86, ("II",), 0, 965, criterion=rule)), 2)
    -0.14
    """
    rule = evidence.criterion
    words = OF_THE_MEASURE.get(evidence.measure)
    if rule is None or words is None or re.search(words, rule.rule) is None:
        return None
    value = evidence.value if value is None else value
    if evidence.measure == "ST":
        level = ST_BASELINE.search(rule.rule)
        shift = value - (float(level[1]) if level else 0.0)
        return (-shift if "depression" in rule.rule else shift) - rule.limit
    return rule.limit - value if BELOW.search(rule.rule) else value - rule.limit


def is_met_within_accuracy(evidence: Evidence) -> bool:
    """Whether the value, measured and as displayed, is on the other side of its rule's limit.

    The part of a longer time that a segment shows (``over_s``) is no such value.
    """
    if evidence.over_s is not None and evidence.measure in ("RR", "SILENCE"):
        return False
    exact, shown = margin(evidence), margin(evidence, displayed(evidence))
    return exact is not None and shown is not None and max(exact, shown) < -1e-9
