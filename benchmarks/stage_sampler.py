"""CPU time of a worker by stage: a thread samples the stacks of the others, weighted by the CPU clock of each thread.

Each sample gives a thread's CPU time since the last one to the stage of its innermost frame that `STAGES` names.
Waiting on a busy machine does not count, only what the process has computed. What a thread has computed when the sample
finds it waiting is `UNSEEN`: work shorter than the interval. A worker with the sampler is started by `program_of`; when
it ends it writes ``{"cpu_s", "seconds", "stages": {stage: s}, "frames": {frame: s}}``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
INTERVAL_S = 0.002
FRAMES = 400  # kept
SWITCH_S = 0.0002  # the sampler gets the interpreter this soon after it asks: samples hit what runs, not what blocks

# Part of a frame's "file:function", and its stage; of one frame the first that fits counts.
STAGES = (
    ("models/networks/", "networks"),
    ("models/encoder/", "encoder"),
    ("agents/monitor/encoder_tier.py", "encoder"),
    ("models/signal/", "conditioning"),
    ("models/beats/", "beats"),
    ("models/measurement/", "measurement"),
    ("models/grounding/", "documents"),
    ("models/", "criteria"),
    ("streams/wire.py:decode", "decode"),
    ("streams/window.py", "decode"),
    ("agents/monitor/messages.py", "decode"),
    ("agents/monitor/reassembly.py", "reassembly"),
    ("agents/monitor/device_clock.py", "reassembly"),
    ("agents/monitor/signal_buffer.py", "reassembly"),
    ("agents/monitor/analysis.py", "reassembly"),
    ("agents/worker/sender.py", "produce"),
    ("aiokafka/producer/", "produce"),
    ("streams/alert_bus.py:AlertBus", "Redis"),
    ("redis/", "Redis"),
    ("agents/lifecycle/", "documents"),
    ("agents/monitor/delivery.py", "documents"),
    ("agents/monitor/", "documents"),
    ("agents/publisher/", "documents"),
    ("streams/", "documents"),
    ("agents/worker/beacons.py", "beacons, lease, metrics"),
    ("agents/worker/lease.py", "beacons, lease, metrics"),
    ("agents/worker/progress.py", "beacons, lease, metrics"),
    ("agents/metrics.py", "beacons, lease, metrics"),
    ("prometheus_client/", "beacons, lease, metrics"),
    ("agents/", "Faust and Kafka client"),
    ("aiokafka/", "Faust and Kafka client"),
    ("faust/", "Faust and Kafka client"),
    ("mode/", "Faust and Kafka client"),
    ("asyncio/", "Faust and Kafka client"),
)
OTHER, UNSEEN = "other", "client, in pieces under 2 ms"
WAITING = ("selectors.py", "threading.py:Condition.wait", "threading.py:Event.wait", "queue.py")
ANALYSIS = ("conditioning", "beats", "measurement", "networks", "criteria", "encoder", "reassembly")
OVERHEAD = (
    "decode",
    "documents",
    "produce",
    "Redis",
    "Faust and Kafka client",
    "beacons, lease, metrics",
    OTHER,
    UNSEEN,
)


def stage_of(frames: Sequence[str]) -> str:
    """The stage of a stack, innermost frame first."""
    if frames and any(part in frames[0] for part in WAITING):
        return UNSEEN
    for frame in frames:
        for part, stage in STAGES:
            if part in frame:
                return stage
    return OTHER


def program_of(out: Path, settle_s: float) -> str:
    """Python program that runs the worker ``sys.argv[1]`` and samples it from ``settle_s`` after its signal began."""
    return (
        "import sys; from pathlib import Path; from agents.run import run_worker; "
        "from benchmarks.stage_sampler import Sampler; "
        f"sampler = Sampler(Path({str(out)!r}), {settle_s}); "
        "status = run_worker(sys.argv[1]); sampler.stop(); sys.exit(status)"
    )


class Sampler(threading.Thread):
    """Samples all threads of its process until `stop`, which writes the result.

    Parameters
    ----------
    out : Path
        Of the result. Sampling begins when the file ``<out>.go`` appears.
    settle_s : float
        After that.
    """

    def __init__(self, out: Path, settle_s: float) -> None:
        super().__init__(name="stage sampler", daemon=True)
        self._out, self._settle_s = out, settle_s
        self._ended = threading.Event()
        self.stages: dict[str, float] = defaultdict(float)
        self.frames: dict[str, float] = defaultdict(float)
        self._clocks: dict[int, float] = {}
        self._began = 0.0
        self.start()

    def run(self) -> None:
        """Sample until `stop`."""
        while not self._out.with_suffix(".go").exists():
            if self._ended.wait(0.1):
                return
        if self._ended.wait(self._settle_s):
            return
        sys.setswitchinterval(SWITCH_S)
        self._sample(count=False)
        self._began = time.monotonic()
        while not (self._ended.wait(INTERVAL_S) or self._out.with_suffix(".end").exists()):
            self._sample(count=True)
        self._write()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self.join()

    def _write(self) -> None:
        found = {
            "cpu_s": sum(self.stages.values()),
            "seconds": time.monotonic() - self._began,
            "stages": dict(self.stages),
            "frames": dict(sorted(self.frames.items(), key=lambda item: -item[1])[:FRAMES]),
        }
        self._out.write_text(json.dumps(found))

    def _sample(self, *, count: bool) -> None:
        for ident, frame in sys._current_frames().items():
            if ident == self.ident:
                continue
            try:
                clock = time.clock_gettime(time.pthread_getcpuclockid(ident))
            except OSError:  # a thread that has ended
                continue
            used, self._clocks[ident] = clock - self._clocks.get(ident, clock), clock
            if count and used > 0.0:
                names = _names(frame)
                self.stages[stage_of(names)] += used
                for name in set(names):
                    self.frames[name] += used


def _names(frame: FrameType | None) -> list[str]:
    """``file:qualified function`` of each frame, innermost first."""
    names = []
    while frame is not None:
        code = frame.f_code
        file = code.co_filename.rsplit("site-packages/", 1)[-1].removeprefix(f"{ROOT}/")
        names.append(f"{file}:{code.co_qualname}")
        frame = frame.f_back
    return names
