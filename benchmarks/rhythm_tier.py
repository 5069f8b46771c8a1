"""CPU time of one bed and second in the monitor, by stage: one process, one thread, no broker.

    python -m benchmarks.rhythm_tier [--beds 8] [--seconds 20] [--passes 3] --data DIR | --simulated [--standstill]
        [--write]

In: twelve leads of LUDB at 500 Hz, each record repeated from its first R peak to its last, or the simulated sinus
rhythm of the ward benchmarks (60 to 95 a minute), as messages of 1 s; with ``--standstill`` an asystole of 9 s in the
middle, as each bed of these has, whose pause is judged each second. Each bed takes the code path of the monitor:
bytes, decoding, message reassembly, conditioning, beats, networks, measurement, criteria, alarm life cycle, documents,
bytes. Out: milliseconds of the thread's own CPU time a bed and second, each stage without the stages that it calls. The
beds run ``--passes`` times, and the least time of each bed and second counts: programs beside it, which share the
caches of a core, only add to it. ``--write`` puts the table into ``capacity.md`` below its own heading.
"""

from __future__ import annotations

import argparse
import cProfile
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import agents.monitor.analysis as analysis
import agents.monitor.vitals as vitals
import models.arrhythmia.tier as tier
import models.arrhythmia.views as views
import models.arrhythmia.wave_history as wave_history
from agents.clock import ManualClock
from agents.monitor.bed import BedMonitor, new_bed
from agents.monitor.reassembly import MessageReassembly
from agents.monitor.signal_buffer import SignalBuffer
from agents.settings import Settings
from models.arrhythmia.criteria.atrial import AtrialRhythm
from models.arrhythmia.criteria.av_block import AvBlockDetector
from models.arrhythmia.criteria.signal import TechnicalConditions
from models.arrhythmia.evaluate import ConditionEvaluator
from models.beats.detector import BeatStream, find_beats
from models.beats.template import DominantBeatTemplate
from models.ecg import Ecg
from models.leads import STANDARD_12
from models.networks.atrial import AtrialNetwork
from models.networks.delineator import DelineationNetwork
from models.networks.rhythm import RhythmNetwork
from models.records import read_record
from streams import wire
from streams.window import window_of_ecg
from tests.agents.signals import ecg as simulated

HERE = Path(__file__).resolve().parent
TABLE, HEADING = HERE / "capacity.md", "## Rhythm tier: CPU time of one bed and second"
S = 1_000_000_000
SLOWEST_BPM, RATES, STANDSTILL_S = 60, 36, 9.0  # as in `benchmarks.ward_run`
T0_NS = 1_795_385_400 * S
WARM_S = 25  # before the measurement: buffers and caches are full
BASELINE = tier.RhythmBaseline(dict.fromkeys(STANDARD_12, 0.0), 100.0, 160.0)  # as after five minutes
RHYTHM_TIER = ("beats", "networks", "measurement", "fibrillation features", "criteria", "rhythm tier, rest")

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("decode", wire, "decode_window"),
    ("reassembly", MessageReassembly, "add"),
    ("conditioning", analysis, "signal_of"),
    ("conditioning", analysis, "with_short_gaps_filled"),
    ("conditioning", SignalBuffer, "add"),
    ("beats", BeatStream, "push"),
    ("beats", DominantBeatTemplate, "add"),
    ("beats", DominantBeatTemplate, "correlation"),
    ("networks", DelineationNetwork, "__call__"),
    ("networks", RhythmNetwork, "__call__"),
    ("networks", AtrialNetwork, "__call__"),
    ("measurement", wave_history.WaveHistory, "update"),
    ("fibrillation features", views, "rest_shares"),
    ("fibrillation features", views, "fibrillation_features"),
    ("criteria", ConditionEvaluator, "present"),
    ("criteria", AtrialRhythm, "update"),
    ("criteria", AvBlockDetector, "update"),
    ("criteria", TechnicalConditions, "update"),
    ("rhythm tier, rest", tier.RhythmTier, "push"),
    ("vitals", vitals.VitalsMaker, "of"),
    ("life cycle", BedMonitor, "apply_window"),
)


class StageClock:
    """CPU time of each stage without the stages that it calls, seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[str] = []
        self._since = 0.0

    def _add(self) -> None:
        now = time.thread_time()
        if self._stack:
            self.seconds[self._stack[-1]] = self.seconds.get(self._stack[-1], 0.0) + now - self._since
        self._since = now

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time added to a stage."""

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self._add()
            self._stack.append(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self._add()
                self._stack.pop()

        return wrapper

    def install(self) -> None:
        """Time the functions of `STAGES`."""
        for stage, owner, name in STAGES:
            setattr(owner, name, self.timed(stage, getattr(owner, name)))


def repeated(ecg: Ecg, seconds: int) -> Ecg:
    """The record from its first R peak to its last, repeated: RR intervals at the seams are those of a beat."""
    r = [beat.sample for beat in find_beats(ecg)]
    part = ecg.mv[:, r[0] : r[-1]]
    times = -(-round(seconds * ecg.fs_hz) // part.shape[1])
    mv = np.tile(part, (1, times))[:, : round(seconds * ecg.fs_hz)]
    return Ecg(ecg.leads, ecg.fs_hz, np.ascontiguousarray(mv), start_ns=T0_NS)


def messages_of(ecg: Ecg, bed: str) -> list[bytes]:
    """Messages of 1 s."""
    step = round(ecg.fs_hz)
    return [
        wire.encode_window(
            window_of_ecg(
                ecg.slice(k * step, (k + 1) * step),
                bed_stream=f"icu/{bed}",
                unit="icu",
                bed=bed,
                epoch=1,
                sequence=k,
                gateway_time_ns=T0_NS + (k + 1) * S,
                lsb_uv=2.5,
            )
        )
        for k in range(ecg.n_samples // step)
    ]


def main() -> None:
    """Run the beds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--passes", type=int, default=3)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder that holds ludb/data")
    source.add_argument("--simulated", action="store_true", help="sinus rhythm of the ward benchmarks")
    parser.add_argument("--standstill", action="store_true", help="the simulated hearts stand still for 9 s")
    parser.add_argument("--profile", type=Path, help="write the profile of cProfile there, in place of the table")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    signals = _simulated(options) if options.simulated else _recorded(options)
    feeds = [messages_of(signal, f"{k:02d}") for k, signal in enumerate(signals)]
    stages = StageClock()
    if options.profile is None:
        stages.install()
    passes = [run_beds(feeds, stages, options.profile if k == 0 else None) for k in range(options.passes)]
    if options.profile is not None:
        return
    least = [min(runs, key=lambda stage: sum(stage.values())) for runs in zip(*passes, strict=True)]
    seconds = {stage: sum(each.get(stage, 0.0) for each in least) for stage in {s for each in least for s in each}}
    rows = table(seconds, len(least))
    print("\n".join(rows))
    if options.write:
        given = "--data DIR"
        if options.simulated:
            given = "--simulated --standstill" if options.standstill else "--simulated"
        command = f"--beds {options.beds} --seconds {options.seconds} --passes {options.passes} {given} --write"
        write(TABLE, HEADING, [f"`python -m benchmarks.rhythm_tier {command}`", "", *rows])


def _recorded(options: argparse.Namespace) -> list[Ecg]:
    """Records of LUDB, evenly over the set."""
    headers = (options.data / "ludb" / "data").glob("*.hea")
    paths = sorted({path.with_suffix("") for path in headers}, key=lambda path: int(path.name))
    paths = paths[:: max(1, len(paths) // options.beds)][: options.beds]
    return [repeated(read_record(path), WARM_S + options.seconds) for path in paths]


def _simulated(options: argparse.Namespace) -> list[Ecg]:
    """Sinus rhythm of different rates with noise."""
    seconds = WARM_S + options.seconds
    begin = WARM_S + (options.seconds - STANDSTILL_S) / 2.0
    silent = [(begin, begin + STANDSTILL_S)] if options.standstill else []
    rates = (SLOWEST_BPM + 7 * k % RATES for k in range(options.beds))
    return [
        simulated(seconds, bpm, leads=STANDARD_12, fs_hz=500.0, silent=silent, start_ns=T0_NS, seed=k)
        for k, bpm in enumerate(rates)
    ]


def run_beds(feeds: list[list[bytes]], stages: StageClock, profile_to: Path | None) -> list[dict[str, float]]:
    """Seconds by stage of each bed and second after `WARM_S`."""
    settings, clock, profile = Settings(), ManualClock(T0_NS), cProfile.Profile(time.thread_time)
    names = [f"{k:02d}" for k in range(len(feeds))]
    beds = [BedMonitor(new_bed(f"icu/{name}", "icu", name, T0_NS), settings, clock) for name in names]
    out = []
    for k in range(len(feeds[0])):
        if k == WARM_S:
            for bed in beds:
                bed.live.baseline = BASELINE
            if profile_to is not None:
                profile.enable()
        clock.set_ns(T0_NS + (k + 1) * S)
        for bed, feed in zip(beds, feeds, strict=True):
            stages.seconds = {}
            take(stages, bed, feed[k], k)
            if k >= WARM_S:
                out.append(stages.seconds)
    if profile_to is not None:
        profile.disable()
        profile.dump_stats(profile_to)
    return out


def take(stages: StageClock, bed: BedMonitor, value: bytes, k: int) -> None:
    """One message of one bed, from bytes to documents."""
    window = wire.decode_window(value, topic="ecg.windows", partition=0, offset=k)
    outputs = bed.apply_window(window, k, T0_NS + (k + 1) * S)
    stages.timed("documents", documents)(outputs)


def documents(outputs: list[Any]) -> None:
    """The bytes of what a step publishes."""
    for output in outputs:
        if output.bed is not None:
            output.bed.to_json()
        for document in (*output.alerts, *output.vitals):
            document.to_json()
        for strip in output.strips:
            wire.encode_window(strip.window)


def table(seconds: dict[str, float], bed_seconds: int) -> list[str]:
    """Milliseconds a bed and second by stage."""
    each = {stage: 1000.0 * s / bed_seconds for stage, s in seconds.items()}
    tier_ms = sum(each.get(stage, 0.0) for stage in RHYTHM_TIER)
    order = list(dict.fromkeys([stage for stage, _, _ in STAGES] + list(each)))
    return [
        "| stage | ms a bed and second |",
        "|---|---|",
        *(f"| {stage} | {each[stage]:.2f} |" for stage in order if stage in each),
        f"| **rhythm tier** ({', '.join(RHYTHM_TIER)}) | **{tier_ms:.2f}** |",
        f"| all | {sum(each.values()):.2f} |",
    ]


def write(path: Path, heading: str, rows: list[str]) -> None:
    """Put the rows below a heading, in place of what is there; the rest of the file stays."""
    lines = path.read_text().splitlines() if path.is_file() else ["# Capacity", ""]
    begin = lines.index(heading) if heading in lines else len(lines)
    end = next((k for k in range(begin + 1, len(lines)) if lines[k].startswith("## ")), len(lines))
    path.write_text("\n".join([*lines[:begin], heading, "", *rows, "", *lines[end:]]).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
