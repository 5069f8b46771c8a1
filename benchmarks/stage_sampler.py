"""CPU time of a worker by stage: clocks around its outer stages, and samples of the stacks inside the analysis.

The outer stages are exact: `CLOCKED` functions are timed by the CPU clock of their thread, which does not count waiting
on a busy machine, and the other threads by their own clocks. What is left of the main thread is Faust, asyncio and the
producer. Inside the analysis the stacks are sampled fifty times a second, seldom enough not to slow the worker; each
sample counts for its innermost frame that `STAGES` names.

A worker is started so by `program_of`; its result is ``{"cpu_s", "seconds", "stages": {stage: s}}``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
INTERVAL_S = 0.02
SWITCH_S = 0.0005  # the sampler gets the interpreter this soon after it asks: samples hit what runs, not what blocks

ANALYSIS, DOCUMENTS = "analysis", "life cycle and documents"
CLOCKED = (  # of the monitor: module, class, function, stage; of nested calls the inner one counts
    ("agents.monitor.messages", "MessageReader", "window", "decode"),
    ("agents.monitor.reassembly", "MessageReassembly", "add", "reassembly"),
    ("agents.monitor.analysis", "Analysis", "_take", ANALYSIS),
    ("agents.monitor.bed", "BedMonitor", "apply_window", DOCUMENTS),
    ("agents.monitor.bed", "BedMonitor", "tick_signal", DOCUMENTS),
    ("agents.monitor.bed", "BedMonitor", "tick_watch", DOCUMENTS),
    ("agents.monitor.delivery", "Delivery", "prepare", DOCUMENTS),
)
MAIN = "Faust, asyncio, producer"
THREADS = (("beacons", "beacons"), ("Thread-", "Kafka consumer"))  # start of a thread's name; others: the encoder
ENCODER = "encoder and other threads"

# Part of a frame's "file:function", and its stage; of one frame the first that fits counts.
STAGES = (
    ("models/networks/", "networks"),
    ("models/signal/", "conditioning"),
    ("models/beats/", "beats"),
    ("models/measurement/", "measurement"),
    ("models/", "criteria"),
)
BUFFER = "signal buffer"
OVERHEAD = ("decode", DOCUMENTS, MAIN, "Kafka consumer", "beacons")


def stage_of(frames: Sequence[str]) -> str:
    """The stage of a stack inside the analysis, innermost frame first."""
    for frame in frames:
        for part, stage in STAGES:
            if part in frame:
                return stage
    return BUFFER


def program_of(out: Path, settle_s: float) -> str:
    """Python program that runs the worker ``sys.argv[1]`` and measures it, ``settle_s`` after the signal began."""
    return (
        "import sys; from pathlib import Path; from agents.run import run_worker; "
        "from benchmarks.stage_sampler import StageClock; "
        f"clock = StageClock(Path({str(out)!r}), {settle_s}, sys.argv[1]); "
        "status = run_worker(sys.argv[1]); clock.stop(); sys.exit(status)"
    )


class StageClock(threading.Thread):
    """Measures its process until `stop`, which writes the result.

    Parameters
    ----------
    out : Path
        Of the result. Measuring begins when the file with the suffix ``.go`` appears.
    settle_s : float
        After that.
    worker : str
        Of the stages of a monitor all are timed, of other workers the threads.
    """

    def __init__(self, out: Path, settle_s: float, worker: str) -> None:
        super().__init__(name="stage sampler", daemon=True)
        self._out, self._settle_s = out, settle_s
        self._ended = threading.Event()
        self._inner_s: list[float] = []  # CPU seconds of the stages inside, by nesting
        self._main = threading.main_thread().ident
        self._names: dict[int, str] = {}  # of threads
        self.clocked: dict[str, float] = defaultdict(float)
        self.samples: Counter[str] = Counter()
        self.began: float | None = None
        if worker == "monitor":
            for module, cls, function, stage in CLOCKED:
                self.clock(getattr(importlib.import_module(module), cls), function, stage)
        self.start()

    def clock(self, owner: Any, function: str, stage: str) -> None:
        """Time a method of objects that the main thread uses."""
        plain = getattr(owner, function)

        @functools.wraps(plain)
        def clocked(*given: Any, **named: Any) -> Any:
            self._inner_s.append(0.0)
            began = time.thread_time()
            try:
                return plain(*given, **named)
            finally:
                used = time.thread_time() - began
                self.clocked[stage] += used - self._inner_s.pop()
                if self._inner_s:
                    self._inner_s[-1] += used

        setattr(owner, function, clocked)

    def run(self) -> None:
        """Sample until `stop`."""
        while not self._out.with_suffix(".go").exists():
            if self._ended.wait(0.1):
                return
        if self._ended.wait(self._settle_s):
            return
        sys.setswitchinterval(SWITCH_S)
        clocked, threads = dict(self.clocked), self._thread_times()
        self.began = began = time.monotonic()
        latest = dict(threads)
        while not self._ended.wait(INTERVAL_S):
            self._sample()
            latest |= self._thread_times()  # a thread that ended keeps its last time
        latest |= self._thread_times()
        stages = {name: used - clocked.get(name, 0.0) for name, used in self.clocked.items()}
        used = {ident: cpu_s - threads.get(ident, 0.0) for ident, cpu_s in latest.items()}
        self._write(time.monotonic() - began, stages, used)

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self.join()

    def _write(self, seconds: float, stages: dict[str, float], threads: dict[int, float]) -> None:
        inside, all_samples = stages.pop(ANALYSIS, 0.0), max(1, sum(self.samples.values()))
        found = {stage: inside * count / all_samples for stage, count in self.samples.items()}
        main_s = threads.pop(self._main or 0, 0.0)
        found |= stages | {MAIN: max(0.0, main_s - inside - sum(stages.values()))}
        for ident, used in threads.items():
            name = self._names.get(ident, "")
            stage = next((stage for start, stage in THREADS if name.startswith(start)), ENCODER)
            found[stage] = found.get(stage, 0.0) + used
        self._out.write_text(json.dumps({"cpu_s": sum(found.values()), "seconds": seconds, "stages": found}))

    def _sample(self) -> None:
        names = _names(sys._current_frames().get(self._main or 0))
        if any(name.endswith("Analysis._take") for name in names):
            self.samples[stage_of(names)] += 1

    def _thread_times(self) -> dict[int, float]:
        """CPU seconds of each thread but this one."""
        times = {}
        for thread in threading.enumerate():
            ident = thread.ident
            if ident is not None and ident != self.ident:
                with contextlib.suppress(OSError):  # it has just ended
                    self._names[ident] = thread.name
                    times[ident] = time.clock_gettime(time.pthread_getcpuclockid(ident))
        return times


def _names(frame: FrameType | None) -> list[str]:
    """``file:qualified function`` of each frame, innermost first."""
    names = []
    while frame is not None:
        code = frame.f_code
        names.append(f"{code.co_filename.removeprefix(f'{ROOT}/')}:{code.co_qualname}")
        frame = frame.f_back
    return names
