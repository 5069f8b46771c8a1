"""What workers measure of themselves: names that Prometheus expects, and no label that names a patient or a bed."""

from __future__ import annotations

from agents.metrics import Metrics
from streams.document import ns_of_time
from tests.agents.signals import ecg, messages
from tests.agents.ward import BedUnderTest


def test_counters_end_in_total_and_times_in_seconds_and_labels_have_an_end() -> None:
    metrics = Metrics()
    labels = set()
    for family in metrics.registry.collect():
        assert family.name.startswith("gem_bedside_")
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_windows", "_tokens")), "the unit comes last"
        if family.type == "counter":
            assert all(s.name.endswith(("_total", "_created")) for s in family.samples)
    metrics.windows.inc()
    bed = BedUnderTest().feed(messages(ecg(30, silent=[(12.0, 30.0)])))
    for alert in bed.alerts:
        metrics.alert(alert, ns_of_time(alert.published))
    for family in metrics.registry.collect():
        labels |= {name for sample in family.samples for name in sample.labels}
    assert labels <= {
        "code", "phase", "source", "verdict", "kind", "le", "model", "device", "version", "python", "onnxruntime",
        "topic", "partition",
    }  # fmt: skip


def test_the_delay_of_a_lethal_alarm_is_counted_once_from_its_onset() -> None:
    metrics = Metrics()
    bed = BedUnderTest().feed(messages(ecg(40, silent=[(12.0, 24.0)])))
    for alert in bed.of("ASYSTOLE"):
        metrics.alert(alert, ns_of_time(alert.published))
    name = "gem_bedside_alarm_delay_seconds"
    assert metrics.registry.get_sample_value(f"{name}_count", {"code": "ASYSTOLE"}) == 1
    within = metrics.registry.get_sample_value(f"{name}_bucket", {"code": "ASYSTOLE", "le": "6.0"})
    assert within == 1, "onset to alert within 6 s"


def test_a_worker_exports_no_zero_that_would_hide_the_death_of_another_kind() -> None:
    names = {
        worker: {family.name for family in Metrics(worker).registry.collect()}
        for worker in ("monitor", "interpreter", "publisher")
    }
    everywhere = set.intersection(*names.values())
    assert {"gem_bedside_messages_waiting", "gem_bedside_clock_skew_seconds"} <= everywhere
    assert {"gem_bedside_windows", "gem_bedside_beds_monitored", "gem_bedside_alarm_delay_seconds"} <= names["monitor"]
    for worker, own in names.items():
        others = set.union(*(found for name, found in names.items() if name != worker))
        assert (own - everywhere).isdisjoint(others), worker
    assert set.union(*names.values()) == {family.name for family in Metrics().registry.collect()}
