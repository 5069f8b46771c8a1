"""Checks of an installation: packages, services, models, disk and clock; a failed check names the remedy.

In: the settings. Out: `Check` values. A warning (untrained weights) is ``ok``, with the warning in its detail. Kafka
and Redis must answer this client: as its user, over its protocol.
"""

from __future__ import annotations

import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import models
from streams.redis_values import text

if TYPE_CHECKING:
    from agents.settings import Settings

PYTHON_MIN = (3, 11)
FREE_MIN_MB = 500  # logs, Redis's file and a strip per minute for a day
CLOCK_MIN = 1_750_000_000  # June 2025, before this program was written: an earlier clock was never set
CLOCK_STEP_S = 0.2
REACH_S = 5.0  # a probe answers in milliseconds; without the limit an address that drops packets blocks the command
PACKAGES = (
    "numpy", "scipy", "faust-streaming", "aiokafka", "kafka-python", "crc32c", "redis", "protobuf", "pydantic",
    "edfio", "starlette", "uvicorn",
)  # fmt: skip
EMBEDDED = " (`gem-bedside demo` brings its own)"
GEM_COMPACT = Path(models.__file__).parent / "weights" / "gem-compact"
GEM_PACKAGES = ("torch", "transformers", "safetensors")
ONNX_PACKAGES = ("onnxruntime", "onnx", "safetensors", "sentencepiece")  # of a compact GEM without torch


@dataclass(frozen=True)
class Check:
    """Result of one check."""

    name: str
    ok: bool
    detail: str


def diagnose(settings: Settings, urls: Sequence[str] = ()) -> list[Check]:
    """Run every check; an exception in one is a failed check. Each of ``urls`` must answer with status 200."""
    checks: list[tuple[str, Callable[[Settings], Check]]] = [
        ("python", _python),
        ("packages", _packages),
        ("kafka", check_kafka),
        ("redis", check_redis),
        ("onnxruntime", _onnxruntime),
        ("encoder", _encoder),
        ("gem", _gem),
        ("disk", _disk),
        ("clock", _clock),
    ]
    checks += [(url, partial(_reach, url)) for url in urls]
    found = []
    for name, check in checks:
        try:
            found.append(check(settings))
        except Exception as failed:  # any exception is a finding
            found.append(Check(name, False, f"{type(failed).__name__}: {failed}"))
    return found


def _python(_: Settings) -> Check:
    here = sys.version.split()[0]
    return Check(
        "python", sys.version_info >= PYTHON_MIN, f"{here}; {'.'.join(map(str, PYTHON_MIN))} or later is required"
    )


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _packages(_: Settings) -> Check:
    missing = [name for name in PACKAGES if _installed(name) is None]
    if missing:
        return Check("packages", False, f"not installed: {', '.join(missing)}; run `make setup`")
    pins = ", ".join(f"{name} {_installed(name)}" for name in ("faust-streaming", "aiokafka", "redis"))
    return Check("packages", True, f"all {len(PACKAGES)} installed; {pins}")


def check_kafka(settings: Settings) -> Check:
    """Kafka answers this client, as its user."""
    from deploy.failures import ServiceMissing, needs_kafka
    from deploy.services import topics_of
    from streams.topics import topic_partitions

    security = settings.kafka_security
    try:
        with needs_kafka(settings):
            found = topic_partitions(settings.kafka, topics_of(settings).names, **security.client_options())
    except ServiceMissing as missing:
        return Check("kafka", False, f"{missing}{EMBEDDED}")
    topics = f"{len(found)} of {len(topics_of(settings).names)} topics"
    return Check("kafka", True, f"{settings.kafka} answers ({security.displayed}), {topics}")


def check_redis(settings: Settings) -> Check:
    """Redis answers this client, as its user."""
    from deploy.failures import ServiceMissing, needs_redis

    access = settings.redis_access
    try:
        with needs_redis(access.displayed), access.client(socket_timeout=2, socket_connect_timeout=2) as client:
            client.ping()
            server = client.execute_command("HELLO")  # type: ignore[no-untyped-call]  # every user may send it
    except ServiceMissing as missing:
        return Check("redis", False, f"{missing}{EMBEDDED}")
    found = (
        dict(zip(map(text, server[::2]), map(text, server[1::2]), strict=False))
        if isinstance(server, list)
        else {text(name): text(value) for name, value in server.items()}
    )
    user = f" as {access.username}" if access.username else ""
    return Check("redis", True, f"{access.displayed} answers{user}, version {found.get('version', 'unknown')}")


def _onnxruntime(settings: Settings) -> Check:
    both = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if len(both) != 1:
        what = "both onnxruntime and onnxruntime-gpu are" if both else "neither onnxruntime nor onnxruntime-gpu is"
        return Check("onnxruntime", False, f"{what} installed: install the extra cpu or the extra gpu, not both")
    from models.encoder.session import choose_provider
    from models.networks.onnx_runtime import onnx_runtime

    provider = choose_provider(settings.device)
    there = ", ".join(onnx_runtime().get_available_providers())
    return Check("onnxruntime", True, f"{both[0]} {_installed(both[0])}; providers {there}; used: {provider}")


def _encoder(settings: Settings) -> Check:
    from models.encoder.session import EncoderSession

    session = EncoderSession.load(settings.encoder, settings.device)
    weights = "trained" if session.trained else "RANDOM weights: they flag nothing"
    window = np.zeros((1, session.config.leads, session.config.samples), np.float32)
    session.encode(window)  # the first run also loads the libraries of the device
    began = time.monotonic()
    session.encode(window)
    ran = f"one window in {(time.monotonic() - began) * 1000:.0f} ms on {session.provider}"
    return Check("encoder", True, f"{session.name}, {weights}, {session.weights[:19]}…, {ran}")


def _gem(settings: Settings) -> Check:
    from models.gem.onnx_decoder import unsupported_reason

    folder = settings.model or GEM_COMPACT
    needed = GEM_PACKAGES if unsupported_reason(folder) else ONNX_PACKAGES
    builds = {"onnxruntime": ("onnxruntime", "onnxruntime-gpu")}  # either will do
    missing = [name for name in needed if not any(map(_installed, builds.get(name, (name,))))]
    if not (folder / "config.json").is_file():
        return Check("gem", settings.model is None, f"no GEM in {folder}: interpretations are rule-based reports")
    if missing:
        return Check("gem", False, f"{folder} needs {', '.join(missing)}: pip install 'gem-bedside[gem]'")
    return Check("gem", True, f"{folder.name} in {folder.parent}")


def _reach(url: str, _: Settings) -> Check:
    request = urllib.request.Request(url, headers={"User-Agent": "gem-bedside doctor"})
    try:
        with urllib.request.urlopen(request, timeout=REACH_S) as answer:
            return Check(url, True, f"status {answer.status}")
    except urllib.error.HTTPError as rejected:
        return Check(url, False, f"status {rejected.code}: {rejected.read(200).decode(errors='replace').strip()}")


def _disk(_: Settings) -> Check:
    free_mb = shutil.disk_usage(Path.cwd()).free // 2**20
    return Check("disk", free_mb >= FREE_MIN_MB, f"{free_mb} MB free in {Path.cwd()}; {FREE_MIN_MB} MB are required")


def _clock(_: Settings) -> Check:
    wall, steady = time.time(), time.monotonic()
    time.sleep(CLOCK_STEP_S)
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    ok = wall > CLOCK_MIN and drift < CLOCK_STEP_S / 2
    return Check(
        "clock", ok, f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(wall))}, steady within {drift * 1000:.1f} ms"
    )
