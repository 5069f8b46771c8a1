"""Fault 46, labels without end: a metric label is one of a few words, whatever beds, patients and senders are named."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from agents.metrics import Metrics
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest

BOUNDED = {"code", "phase", "kind", "source", "verdict", "priority", "topic", "partition", "worker", "reason", "le"}
BOUNDED |= {"version", "onnxruntime", "python"}  # of the build: one value a process


def series(registry: CollectorRegistry) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in registry.collect()
        for sample in family.samples
    }


def test_a_hundred_wards_make_no_series_more_than_one() -> None:
    # Given the alerts of a bed, with its standstill
    bed = BedUnderTest().feed(messages(ecg(40, silent=[(20.0, 30.0)])))
    assert bed.of("ASYSTOLE")
    metrics = Metrics()
    for alert in bed.alerts:
        metrics.alert(alert, 0)
    before = series(metrics.registry)
    # When a hundred beds, units and patients raise the same
    for k in range(100):
        for alert in bed.alerts:
            names = {"bed_stream": f"icu-{k}/{k}", "unit": f"icu-{k}", "bed": str(k), "patient": f"p-{k:04x}"}
            metrics.alert(alert.model_copy(update=names), 0)
    # Then there are as many series as before, and none has a name of theirs
    assert series(metrics.registry) == before
    labels = {label for _, pairs in before for label, _ in pairs}
    assert labels <= BOUNDED
    assert not [value for _, pairs in before for _, value in pairs if "icu" in value or value.startswith("p-")]
