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
    """The metrics of one worker, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.windows = Counter("gem_bedside_windows", "Windows processed.", registry=registry)
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
            registry=registry,
        )
        self.alerts = Counter(
            "gem_bedside_alert_versions", "Versions of alerts written.", ["code", "phase"], registry=registry
        )
        self.skips_to_latest = Counter(
            "gem_bedside_skipped_to_latest",
            "Times that windows were skipped to reach the latest signal.",
            registry=registry,
        )
        self.lag = Histogram(
            "gem_bedside_window_delay_seconds", "From append to processing.", buckets=DELAY_BUCKETS, registry=registry
        )
        self.step = Histogram(
            "gem_bedside_rhythm_step_seconds", "Processing one window.", buckets=STEP_BUCKETS, registry=registry
        )
        self.alarm_delay = Histogram(
            "gem_bedside_alarm_delay_seconds",
            "From the onset of a lethal condition to its alert.",
            ["code"],
            buckets=DELAY_BUCKETS,
            registry=registry,
        )
        self.interpretations = Counter(
            "gem_bedside_interpretations", "Interpretations written.", ["source"], registry=registry
        )
        self.claims = Counter("gem_bedside_claims", "Claims in interpretations.", ["verdict"], registry=registry)
        self.verified = Counter(
            "gem_bedside_verified",
            "Interpretations verified independently, by outcome: ok, wrong, or failed to verify.",
            ["outcome"],
            registry=registry,
        )
        self.gem_withheld = Counter(
            "gem_bedside_gem_withheld",
            "Texts of GEM's in which the verifier found a fault; the rule-based report was sent.",
            registry=registry,
        )
        self.interpretation_seconds = Histogram(
            "gem_bedside_interpretation_seconds",
            "Time taken by the interpreter.",
            buckets=DELAY_BUCKETS,
            registry=registry,
        )
        self.gem_queue = Gauge("gem_bedside_gem_queue_segments", "Segments that wait for GEM.", registry=registry)
        self.gem_first_token = Histogram(
            "gem_bedside_gem_first_token_seconds",
            "From the request to GEM's first token.",
            buckets=DELAY_BUCKETS,
            registry=registry,
        )
        self.gem_tokens = Histogram(
            "gem_bedside_gem_answer_tokens", "Tokens of GEM's answers.", buckets=TOKEN_BUCKETS, registry=registry
        )
        self.encoder_batch = Histogram(
            "gem_bedside_encoder_batch_windows", "Windows of one run.", buckets=BATCH_BUCKETS, registry=registry
        )
        self.encoder_seconds = Histogram(
            "gem_bedside_encoder_batch_seconds", "Time of one run.", buckets=STEP_BUCKETS, registry=registry
        )
        self.encoder_thinned = Counter(
            "gem_bedside_encoder_windows_thinned_out", "Windows that a newer one replaced.", registry=registry
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
        self.published = Counter("gem_bedside_published", "Messages brought to Redis.", ["kind"], registry=registry)
        self.redis_waits = Counter("gem_bedside_redis_waits", "Times that Redis was waited for.", registry=registry)
        self.restore = Histogram(
            "gem_bedside_restore_seconds",
            "From the assignment of partitions to the last of them being live.",
            buckets=DELAY_BUCKETS,
            registry=registry,
        )
        self.handled = Counter("gem_bedside_messages_handled", "Messages finished.", registry=registry)
        self.waiting = Gauge("gem_bedside_messages_waiting", "Messages not handled yet.", registry=registry)

    def alert(self, alert: Alert, now_ns: int) -> None:
        """Count a version; of a lethal alarm that begins to sound, the delay since its onset."""
        self.alerts.labels(alert.code, alert.phase.value).inc()
        if alert.version == 1 and alert.priority == "PH" and not alert.late:
            self.alarm_delay.labels(alert.code).observe(max(0.0, (now_ns - ns_of_time(alert.onset)) / NS))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _onnxruntime() -> str:
    return next((f"{name} {found}" for name in ("onnxruntime", "onnxruntime-gpu") if (found := _version(name))), "none")
