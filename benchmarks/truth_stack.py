"""Truth of alerts on the running stack: the demo's beds and replayed ICU records, read back from Redis, and verified.

``python -m benchmarks.truth_stack --out DIR [--minutes 30] [--beds 5] [--icu-beds 3] [--known] [--write]`` runs
``gem-bedside demo`` (embedded Kafka and Redis, the workers and the station as processes), sends records of CinC 2015 to
further beds with ``gem-bedside replay``, one after the other in real time, and keeps each version of each alert as
Redis publishes it, with its strip, in ``DIR/versions.jsonl``. Then each version that has a strip is verified on it, as
``gem-bedside verify ALERT.json --strip FILE`` does.

``DIR/documents.jsonl`` holds the newest version of each alert as a line of ``interpret --json``, and ``DIR/records``
their strips as WFDB records, so that a verifier of another make can read them.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from redis import Redis, RedisError

from benchmarks.truth_beds import Version, verified
from deploy.redis_view import alert_versions
from streams.keys import Keys
from verification import read_strip

ROOT = Path(__file__).resolve().parent.parent
SEED = 14
SITE = "main"
RECORD_S = 300.0  # of CinC 2015, the shortest
READY_S = 120.0
STRIP_S = 5.0  # the strip of an alert comes with it; a busy machine writes both within this
GEM_BEDSIDE = [sys.executable, "-m", "deploy.cli"]


def chosen(data: Path, beds: int, minutes: float) -> list[list[Path]]:
    """Records for each ICU bed, by a seed, that last as long as the run."""
    names = sorted(path.with_suffix("") for path in (data / "cinc2015" / "records").glob("*.hea"))
    each = -(-int(60 * minutes) // int(RECORD_S))
    drawn = Random(f"{SEED} stack").sample(names, beds * each)
    return [drawn[k * each : (k + 1) * each] for k in range(beds)]


def replay(records: Sequence[Path], bed: str, kafka: str, over: threading.Event) -> None:
    """Send records to a bed, each as a patient of its own, until ``over``."""
    for k, record in enumerate(records):
        command = [*GEM_BEDSIDE, "replay", str(record), "--bed", bed, "--patient", f"r-{bed[-2:]}{k:02d}"]
        sender = subprocess.Popen(command, env={**os.environ, "GEM_BEDSIDE_KAFKA": kafka}, stderr=subprocess.DEVNULL)
        while sender.poll() is None and not over.wait(0.5):
            pass
        if over.is_set():
            sender.terminate()
            sender.wait()
            return


def run(minutes: float, beds: int, icu: Sequence[Sequence[Path]], out: Path) -> dict[str, Any]:
    """Run the stack and write every version of every alert that has a strip; the demo's report.

    Raises
    ------
    TimeoutError
        The stack was not ready in `READY_S`.
    """
    ready, report, over = out / "ready.json", out / "report.json", threading.Event()
    ready.unlink(missing_ok=True)
    command = [*GEM_BEDSIDE, "demo", "--beds", str(beds), "--seconds", f"{60 * minutes:g}"]
    command += ["--ready", str(ready), "--json", str(report)]
    with (out / "demo.log").open("w") as log:
        demo = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + READY_S
        while not ready.is_file():
            if time.monotonic() > until or demo.poll() is not None:
                raise TimeoutError(f"the stack is not ready; see {log.name}")
            time.sleep(0.2)
        addresses = json.loads(ready.read_text())
        senders = [
            threading.Thread(target=replay, args=(records, f"records/{k + 1:02d}", addresses["kafka"], over))
            for k, records in enumerate(icu)
        ]
        for sender in senders:
            sender.start()
        collect(Redis.from_url(addresses["redis"]), demo, out / "versions.jsonl")
        demo.wait(READY_S)  # the report is written after Redis has ended
    finally:
        over.set()
        demo.terminate()  # without effect on a demo that has ended
        demo.wait()
    for sender in senders:
        sender.join()
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def collect(redis: Redis, demo: subprocess.Popen[bytes], file: Path) -> None:
    """Write each version that Redis publishes, with its strip, until the demo has ended."""
    strips: dict[str, bytes] = {}
    with file.open("w", encoding="utf-8") as out:
        try:
            for entry in alert_versions(redis, SITE, from_start=True):
                if demo.poll() is not None:
                    return
                if entry is None or entry[1].segment is None:
                    continue
                alert = entry[1]
                until = time.monotonic() + STRIP_S
                while alert.id not in strips and time.monotonic() < until:
                    strip: Any = redis.get(Keys(SITE).strip(alert.id))
                    if strip is None:
                        time.sleep(0.1)
                    else:
                        strips[alert.id] = strip
                version = {
                    "bed": alert.bed_stream,
                    "alert": alert.model_dump(mode="json", by_alias=True),
                    "strip": base64.b64encode(strips.get(alert.id, b"")).decode(),
                }
                out.write(json.dumps(version, ensure_ascii=False) + "\n")
                out.flush()
        except RedisError:  # the stack has ended
            return


def for_others(versions: Sequence[Version], out: Path) -> None:
    """Write the newest version of each alert, and its strip as a WFDB record."""
    import wfdb

    folder = out / "records"
    folder.mkdir(exist_ok=True)
    newest = {version["alert"]["id"]: version for version in versions}
    with (out / "documents.jsonl").open("w", encoding="utf-8") as lines:
        for name, version in newest.items():
            if version["alert"]["interpretation"] is None:
                continue
            strip = read_strip(base64.b64decode(version["strip"]))
            n = len(strip.mv)
            wfdb.wrsamp(
                name, strip.fs, ["mV"] * n, list(strip.mv), np.transpose(list(strip.mv.values())), fmt=["16"] * n,
                adc_gain=[1000.0] * n, baseline=[0] * n, write_dir=str(folder),
            )  # fmt: skip
            line = {"record": name, "start_s": 0.0, "alert": version["alert"]}
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")


def main() -> None:
    """Run, verify, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--beds", type=int, default=5)
    parser.add_argument("--icu-beds", type=int, default=3)
    parser.add_argument("--known", action="store_true", help="verify the versions that are there; run nothing")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    data = Path(os.environ.get("GEM_BEDSIDE_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
    asked.out.mkdir(parents=True, exist_ok=True)
    icu = chosen(data, asked.icu_beds, asked.minutes)
    if not asked.known:
        run(asked.minutes, asked.beds, icu, asked.out)
    lines = (asked.out / "versions.jsonl").read_text("utf-8").splitlines()
    versions = [json.loads(line) for line in lines]
    report = json.loads((asked.out / "report.json").read_text())
    for_others([v for v in versions if v["strip"]], asked.out)
    text = table(asked, icu, versions, report)
    print(text)
    if asked.write:
        Path(__file__).with_suffix(".md").write_text(text, "utf-8")


def table(
    asked: argparse.Namespace, icu: Sequence[Sequence[Path]], versions: Sequence[Version], report: dict[str, Any]
) -> str:
    """The committed table; each fault goes to standard error."""
    by_bed: dict[str, list[Version]] = {}
    for version in versions:
        if version["strip"]:
            by_bed.setdefault(version["bed"], []).append(version)
    without = sum(not version["strip"] for version in versions)
    records = "; ".join(f"records/{k + 1:02d}: {' '.join(x.name for x in names)}" for k, names in enumerate(icu))
    claims = report["claims"]
    return f"""# Truth of alerts on the running stack

`python -m benchmarks.truth_stack --out DIR --minutes {asked.minutes:g} --beds {asked.beds} --icu-beds {asked.icu_beds}
--write`, {datetime.now(UTC):%Y-%m-%d}: `gem-bedside demo` with embedded Kafka and Redis, workers as processes, the
compact GEM; records of CinC 2015 by `gem-bedside replay`. Each version of each alert that Redis published with a strip
is verified on it; {without} versions had a segment and no strip in Redis.

{verified(dict(sorted(by_bed.items())))}
Windows in, analysed, lost: {report["windows_in"]}, {report["windows_analysed"]}, {report["lost"]}; alerts sounded
twice {report["duplicates"]}; dead letters {report["dead_letters"]}. Claims of the newest versions:
{claims["supported"]} supported, {claims["unsupported"]} not confirmed, {claims["contradicted"]} left out.

Records: {records}.
"""


if __name__ == "__main__":
    main()
