"""An interpretation before it is verified: it can be written again from fewer measurements.

`Draft.written` gives the interpretation, by GEM's text where there is one, else by rules. `Draft.without` leaves out
measurements that a second measurement did not confirm: claims that cited them are then unsupported, and the rule-based
report does not have them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from models.evidence import Evidence
from models.grounding.ground import ground
from models.grounding.interpretation import GroundedInterpretation, ModelIdentity
from models.grounding.rule_based_report import rule_based_report
from models.grounding.segment_measurements import SegmentMeasurements

BEATS = frozenset({"HR", "RR", "REGULARITY", "SILENCE"})  # wrong where the beats are: nothing is counted then
DEPEND: dict[str, frozenset[str]] = {
    "P": frozenset({"P", "PR", "ABSENT_P"}),
    "PR": frozenset({"P", "PR", "ABSENT_P"}),
    "QT": frozenset({"QT", "QTc", "QTcF"}),
    "QTc": frozenset({"QTc", "QTcF"}),
    "QTcF": frozenset({"QTc", "QTcF"}),
    **dict.fromkeys(BEATS, frozenset({*BEATS, "ABSENT_P", "QTc", "QTcF"})),
}
"""Measure to those that are wrong with it; any other stands for itself."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Draft:
    """What an interpretation is written from.

    Attributes
    ----------
    measured : SegmentMeasurements
    given : sequence of Evidence
        The alert's own citations, numbered 1…k.
    code : str
        The alarm on the segment.
    reason : str or None
        Why the report is rule-based.
    text : str or None
        GEM's answer; None for the rule-based report.
    model : ModelIdentity or None
    seconds : float
        Time of the generation.
    """

    measured: SegmentMeasurements
    given: Sequence[Evidence] = field(default=())
    code: str = ""
    reason: str | None = None
    text: str | None = None
    model: ModelIdentity | None = None
    seconds: float = 0.0

    def written(self) -> GroundedInterpretation:
        """The interpretation."""
        ecg, first = self.measured.ecg, len(self.given) + 1
        if self.text is None:
            return rule_based_report(
                ecg,
                reason=self.reason,
                first_citation=first,
                given=self.given,
                code=self.code,
                measured=self.measured,
            )
        return ground(
            self.text,
            ecg,
            self.given,
            first,
            model=self.model,
            seconds=self.seconds,
            measured=self.measured,
            code=self.code,
        )

    def rule_based(self, reason: str) -> Self:
        """The same segment for the rule-based report."""
        return replace(self, text=None, reason=reason)

    def without(self, wrong: Collection[Evidence]) -> Self:
        """The same draft without these measurements and those that depend on them."""
        return replace(self, measured=without(self.measured, wrong))


def without(measured: SegmentMeasurements, wrong: Collection[Evidence]) -> SegmentMeasurements:
    """The measurements without some that were not confirmed, and without those that depend on them."""
    names = {x for e in wrong for x in DEPEND.get(e.measure, {e.measure})}
    leads = {e.leads[0] for e in wrong if e.measure == "ST"}
    waves = {(e.leads[0], e.wave) for e in wrong if e.measure == "AMPLITUDE"}
    kept = replace(
        measured,
        evidence={name: e for name, e in measured.evidence.items() if name not in names},
        st={lead: e for lead, e in measured.st.items() if lead not in leads},
        waves={key: height for key, height in measured.waves.items() if key not in waves},
        axis_deg=None if "QRS" in names else measured.axis_deg,
    )
    if names & {"P", "ABSENT_P"}:
        kept = replace(kept, beats_with_p=0, beats_examined=0, af_odds=None, blocked=(), block=None)
    if names & BEATS:
        kept = replace(
            kept, kinds={}, kind_sequence="", af_odds=None, longest_rr=None, rr_change=None, blocked=(), block=None
        )
    return kept
