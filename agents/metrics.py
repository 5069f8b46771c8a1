"""What a worker measures of itself, for Prometheus. No label names a patient, a bed or a unit: they have no end."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streams.alert import Alert
from streams.document import ns_of_time

NS = 1e9
DELAY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30, 60, 120)
STEP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
TOKEN_BUCKETS = (16, 32, 64, 128, 192, 256, 384, 512, 1024, 2048)


class Metrics:
    """The metrics of one worker, in a registry of its own.

    A worker exports the metrics of its own kind alone: a zero of another worker's would hide that all of that kind are
    gone. ``worker`` empty: all of them.
    """

    def __init__(self, worker: str = "") -> None:
        registry = self.registry = CollectorRegistry()
        monitor, interpreter, publisher = (
            registry if worker in ("", kind) else None for kind in ("monitor", "interpreter", "publisher")
        )
        self.windows = Counter("gem_bedside_windows", "Windows processed.", registry=monitor)
        self.dead_letters = Counter("gem_bedside_dead_letters", "Messages that could not be read.", registry=registry)
        self.rejected_unread = Counter(
            "gem_bedside_rejected_unread",
            "Batches too large or unreadable, and messages on which a worker ended twice; each is one dead letter.",
            registry=registry,
        )
        self.failed_steps = Counter(
            "gem_bedside_failed_steps",
            "Steps of a bed that raised an exception; its analysis was started anew.",
            ["kind"],
            registry=monitor,
        )
        self.alerts = Counter(
            "gem_bedside_alert_versions", "Versions of alerts written.", ["code", "phase"], registry=monitor
        )
        self.skips_to_latest = Counter(
            "gem_bedside_skipped_to_latest",
            "Times that windows were skipped to reach the latest signal.",
            registry=monitor,
        )
        self.backfilled = Counter(
            "gem_bedside_windows_backfilled", "Skipped windows analysed after the newest signal.", registry=monitor
        )
        self.lag = Histogram(
            "gem_bedside_window_delay_seconds", "From append to processing.", buckets=DELAY_BUCKETS, registry=monitor
        )
        self.step = Histogram(
            "gem_bedside_rhythm_step_seconds", "Processing one window.", buckets=STEP_BUCKETS, registry=monitor
        )
        self.alarm_delay = Histogram(
            "gem_bedside_alarm_delay_seconds",
            "From the onset of a lethal condition to its alert.",
            ["code"],
            buckets=DELAY_BUCKETS,
            registry=monitor,
        )
        self.interpretations = Counter(
            "gem_bedside_interpretations", "Interpretations written.", ["source"], registry=interpreter
        )
        self.claims = Counter("gem_bedside_claims", "Claims in interpretations.", ["verdict"], registry=interpreter)
        self.verified = Counter(
            "gem_bedside_verified",
            "Interpretations verified independently, by outcome: ok, wrong, or failed to verify.",
            ["outcome"],
            registry=interpreter,
        )
        self.gem_withheld = Counter(
            "gem_bedside_gem_withheld",
            "Texts of GEM's in which the verifier found a fault; the rule-based report was sent.",
            registry=interpreter,
        )
        self.interpretation_seconds = Histogram(
            "gem_bedside_interpretation_seconds",
            "Time taken by the interpreter.",
            buckets=DELAY_BUCKETS,
            registry=interpreter,
        )
        self.gem_queue = Gauge("gem_bedside_gem_queue_segments", "Segments that wait for GEM.", registry=interpreter)
        self.gem_first_token = Histogram(
            "gem_bedside_gem_first_token_seconds",
            "From the request to GEM's first token.",
            buckets=DELAY_BUCKETS,
            registry=interpreter,
        )
        self.gem_tokens = Histogram(
            "gem_bedside_gem_answer_tokens", "Tokens of GEM's answers.", buckets=TOKEN_BUCKETS, registry=interpreter
        )
        self.encoder_batch = Histogram(
            "gem_bedside_encoder_batch_windows", "Windows of one run.", buckets=BATCH_BUCKETS, registry=monitor
        )
        self.encoder_seconds = Histogram(
            "gem_bedside_encoder_batch_seconds", "Time of one run.", buckets=STEP_BUCKETS, registry=monitor
        )
        self.encoder_thinned = Counter(
            "gem_bedside_encoder_windows_thinned_out", "Windows that a newer one replaced.", registry=monitor
        )
        self.device = Gauge(
            "gem_bedside_device_info", "1: the model runs on this device.", ["model", "device"], registry=registry
        )
        self.build = Gauge(
            "gem_bedside_build_info",
            "1: the versions that run.",
            ["version", "python", "onnxruntime"],
            registry=registry,
        )
        self.build.labels(_version("gem-bedside"), sys.version.split()[0], _onnxruntime()).set(1)
        self.published = Counter("gem_bedside_published", "Messages brought to Redis.", ["kind"], registry=publisher)
        self.redis_waits = Counter("gem_bedside_redis_waits", "Times that Redis was waited for.", registry=publisher)
        self.restore = Histogram(
            "gem_bedside_restore_seconds",
            "From the assignment of partitions to the last of them being live.",
            buckets=DELAY_BUCKETS,
            registry=monitor,
        )
        self.beds_monitored = Gauge(
            "gem_bedside_beds_monitored", "Monitored beds of the partitions held here.", registry=monitor
        )
        self.beds_judged = Gauge(
            "gem_bedside_beds_judged", "Those with a verdict on signal of the last 10 s.", registry=monitor
        )
        self.standby_waiting = Gauge(
            "gem_bedside_standby_windows_waiting",
            "Windows that other monitors have finished and the standby here has not taken.",
            registry=monitor,
        )
        self.onset_to_redis = Histogram(
            "gem_bedside_onset_to_redis_seconds",
            "From the onset of a lethal condition to its alert in Redis.",
            ["code"],
            buckets=DELAY_BUCKETS,
            registry=publisher,
        )
        self.redis_delay = Histogram(
            "gem_bedside_redis_delay_seconds",
            "From append in Kafka to Redis, of alerts.",
            buckets=DELAY_BUCKETS,
            registry=publisher,
        )
        self.removed_peers = Counter(
            "gem_bedside_removed_peers", "Stopped workers that this one removed from its group.", registry=registry
        )
        self.clock_skew = Gauge(
            "gem_bedside_clock_skew_seconds", "This worker's clock less the brokers'.", registry=registry
        )
        self.partition_waiting = Gauge(
            "gem_bedside_partition_messages_waiting",
            "Messages of one partition that are not handled yet.",
            ["topic", "partition"],
            registry=registry,
        )
        self.handled = Counter("gem_bedside_messages_handled", "Messages finished.", registry=registry)
        self.waiting = Gauge("gem_bedside_messages_waiting", "Messages not handled yet.", registry=registry)

    def alert(self, alert: Alert, now_ns: int) -> None:
        """Count a version; of a lethal alarm that begins to sound, the delay since its onset."""
        self.alerts.labels(alert.code, alert.phase.value).inc()
        if alert.version == 1 and alert.priority == "PH" and not alert.late:
            self.alarm_delay.labels(alert.code).observe(max(0.0, (now_ns - ns_of_time(alert.onset)) / NS))

    def reached_redis(self, alert: Alert, append_ns: int, now_ns: int) -> None:
        """Measure an alert that is in Redis now."""
        self.redis_delay.observe(max(0.0, (now_ns - append_ns) / NS))
        if alert.version == 1 and alert.priority == "PH" and not alert.late:
            self.onset_to_redis.labels(alert.code).observe(max(0.0, (now_ns - ns_of_time(alert.onset)) / NS))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _onnxruntime() -> str:
    return next((f"{name} {found}" for name in ("onnxruntime", "onnxruntime-gpu") if (found := _version(name))), "none")
