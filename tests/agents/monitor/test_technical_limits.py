"""The limits of CANNOT_ANALYZE and SILENT_FEED change detection at both bounds."""

from __future__ import annotations

import pytest

from agents.monitor.feed_problems import silence_reports
from agents.monitor.watchdog import watch
from models.arrhythmia.limits import RULES
from streams.alert import Provenance
from streams.bed import Bed
from streams.document import time_of_ns

S = 1_000_000_000
SINCE_NS = 1_000 * S
PROVENANCE = Provenance(monitor="test")


@pytest.mark.parametrize("code", ["CANNOT_ANALYZE", "SILENT_FEED"])
def test_a_limit_in_seconds_changes_when_the_alarm_is_raised(code: str) -> None:
    bed = Bed(bed_stream="icu/1", unit="icu", bed="1", since=time_of_ns(SINCE_NS))
    low, high = RULES[code].bounds["seconds"]
    after_ns = SINCE_NS + round((low + high) / 2 * S)

    def raised(limit_s: float) -> bool:
        if code == "SILENT_FEED":
            return bool(silence_reports(bed, SINCE_NS, 1.0, limit_s, after_ns, PROVENANCE))
        return watch(bed, SINCE_NS, limit_s, after_ns, PROVENANCE) is not None

    assert raised(low) and not raised(high)
