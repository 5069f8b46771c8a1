"""Benchmark of capacity: how many beds a machine monitors, and where its time goes.

    python -m benchmarks.capacity [--part beds|stages|memory|recovery|backlog|loop|peer] [--kafka-home FOLDER]

Prints and writes benchmarks/capacity.md. Rows are kept in benchmarks/capacity.json as they come: a run that was
interrupted goes on with the next row, and a row of other code is measured anew (``--again``: every row). Without
``--kafka-home`` the embedded broker is used, whose figures say little about a real one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import capacity_backlog, capacity_loop, capacity_ward
from benchmarks.capacity_table import Part, PartRows, Rows, render
from benchmarks.capacity_ward import Options

HERE = Path(__file__).resolve().parent
COMMAND = "python -m benchmarks.capacity --kafka-home …"

PARTS = {
    "beds": Part(
        "Beds end to end, by bisection",
        "Kafka to Redis, 12 leads at 500 Hz, 1-s messages, one asystole a bed, producer on the same machine. A size "
        "holds when every asystole is raised, onset to Redis p99 ≤ 10 s, and the age of the vitals in the last 15 s "
        "p99 ≤ 10 s. Each bed is analysed once (`GEM_BEDSIDE_STANDBY=false`); with a standby, twice. ",
        ("monitors", "beds", "seconds"),
        (
            *("monitors", "beds", "holds", "raised", "p50, s", "p99, s", "max, s", "age of vitals at the end, p99, s"),
            *("monitor, cores", "interpreter", "publisher"),
        ),
        capacity_ward.conclude_beds,
    ),
    "stages": Part(
        "CPU time by stage",
        "Exact by the CPU clocks of threads and outer stages, which do not count waiting on a busy machine; inside the "
        "analysis by samples. `outside the analysis` is decoding, life cycle, documents, Faust and Kafka. ",
        ("worker", "stage"),
        ("worker", "stage", "ms a bed and second", "share", "beds"),
    ),
    "memory": Part(
        "Memory of a bed",
        "What each bed adds to the resident memory of a process, 12 leads at 500 Hz; a worker keeps up to 64 MB "
        "of freed memory besides. ",
        ("signal, s",),
        ("signal, s", "MB a bed", "beds"),
    ),
    "recovery": Part(
        "Recovery after SIGKILL of a monitor",
        "Interval without vitals of signal around the kill. With two monitors the other one takes over from its "
        "standby; a single one is started again. ",
        ("monitors", "beds"),
        (
            *("monitors", "beds", "standby", "beds judged again", "longest gap, p50, s", "of all beds, s"),
            *("raised", "onset to Redis p99, s"),
        ),
    ),
    "backlog": Part(
        "Catching up after an outage",
        "Windows of the outage lie in Kafka when the monitors start. It holds when every bed has a verdict on new "
        f"signal {capacity_backlog.LIVE_S:g} s after the workers hold their partitions, and its document has named the "
        f"gap within {capacity_backlog.RECORDED_S:g} s; the backfill goes on beside the newest signal. ",
        ("monitors", "beds", "outage, s"),
        (
            *("monitors", "beds", "outage, s", "windows", "workers ready after, s", "last bed live, s"),
            *("gap recorded, s", "gap backfilled, s", "holds"),
        ),
    ),
    "loop": Part(
        "The message loop without analysis",
        "Windows consumed and produced again, one process, start of the client included. The bare clients pass bytes "
        "on; this worker also decodes and checks each window. ",
        ("client",),
        ("client", "messages", "messages/s", "CPU, ms a message"),
    ),
    "peer": Part(
        "A naive program",
        "JSON messages, and neurokit2 on the last ten seconds of each of 12 leads every second; no alarms. Beside it "
        "the step of this program without Kafka, in the first seconds of a bed. ",
        ("program",),
        ("program", "CPU, ms a bed and second", "times ours"),
    ),
}
RUN: dict[str, Callable[[Options, PartRows], None]] = {
    "beds": capacity_ward.beds,
    "stages": capacity_ward.stages,
    "memory": capacity_loop.memory,
    "recovery": capacity_ward.recovery,
    "backlog": capacity_backlog.backlog,
    "loop": capacity_loop.loop,
    "peer": capacity_loop.peer,
}
DEFAULT_BEDS = {"beds": (8, 512), "stages": (24,), "recovery": (8, 32), "backlog": (64,)}
DEFAULT_MONITORS = {"beds": (1, 2), "recovery": (2,), "backlog": (2,)}


def main() -> None:
    """Run the parts and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=list(PARTS), action="append", help="one part; may be repeated")
    parser.add_argument("--beds", help="sizes, `8,512`; of the bisection the smallest and the largest")
    parser.add_argument("--monitors", help="numbers of monitors, `1,2`")
    parser.add_argument("--seconds", type=int, default=60, help="of signal in each run")
    parser.add_argument("--outage", type=int, default=600, help="length of the backlog, s")
    parser.add_argument("--no-interpreter", action="store_true", help="without the interpreter")
    parser.add_argument("--again", action="store_true", help="measure rows again that are there")
    parser.add_argument("--kafka-home", type=Path, help="folder of Apache Kafka, which is started")
    parser.add_argument("--kafka", help="address of a broker that runs; each run has topics of its own there")
    parser.add_argument("--out", type=Path, default=HERE / "capacity.md")
    arguments = parser.parse_args()
    rows = Rows(arguments.out.with_suffix(".json"))
    for name in arguments.part or list(PARTS):
        options = Options(
            kafka=arguments.kafka or arguments.kafka_home,
            beds=_numbers(arguments.beds) or DEFAULT_BEDS.get(name, (16,)),
            monitors=_numbers(arguments.monitors) or DEFAULT_MONITORS.get(name, (1,)),
            seconds=arguments.seconds,
            interpreter=not arguments.no_interpreter,
            outage_s=arguments.outage,
        )
        RUN[name](options, rows.of(name, PARTS[name], again=arguments.again))
        arguments.out.write_text(render(PARTS, rows.parts, COMMAND), encoding="utf-8")
    print(arguments.out.read_text(encoding="utf-8"))


def _numbers(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",")) if text else ()


if __name__ == "__main__":
    main()
