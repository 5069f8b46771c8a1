"""A whole site for an hour on TLS, SCRAM, client certificates and ACLs alone, with secrets that rotate under it.

Two beds send one message a second to Apache Kafka; each heart stands still for 9 s in each minute. Every ten minutes
passwords and certificates of the workers are replaced, and the publisher's connections to Redis are ended; once the
broker is restarted, so that every connection logs in with the newest secrets. A worker that ends is started again and
counted.

    python -m benchmarks.secured --seconds 3600 --kafka-home $KAFKA_HOME [--out benchmarks/secured.md]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from streams.alert import Alert
from streams.document import ns_of_time
from streams.keys import Keys
from tests.agents.secured_site import SecuredSite
from tests.agents.signals import S, ecg, messages
from tests.brokers import START_S

BEDS = ("07", "08")
SILENT_S = 9.0
MINUTE_S, ROTATE_S, RESTART_BROKER_S = 60, 600, 900


def run(site: SecuredSite, seconds: int) -> dict[str, float]:
    """Send, rotate, and compare what was planted with what Redis has."""
    start_ns = time.time_ns() // S * S
    silent = {
        bed: [(at + 20 + 15 * k, at + 20 + 15 * k + SILENT_S) for at in range(0, seconds - 60, MINUTE_S)]
        for k, bed in enumerate(BEDS)
    }
    windows = {bed: messages(ecg(seconds, silent=silent[bed], start_ns=start_ns), bed=bed) for bed in BEDS}
    rotations = 0
    for k in range(seconds):
        due_ns = start_ns + (k + 1) * S
        time.sleep(max(0.0, (due_ns - time.time_ns()) / S))
        for bed in BEDS:
            site.producer.send(windows[bed][k])
        site.revive()
        if k and k % ROTATE_S == 0:
            rotations += 1
            site.rotate(rotations)
        if k == RESTART_BROKER_S:
            node = site.kafka.nodes[0]
            node.stop()
            node.launch()
            node.wait_ready(START_S)
    site.producer.flush()
    time.sleep(20)
    with site.redis.access("operator").client() as client:
        entries = client.xrange(Keys("main").alerts("icu-3"))
    alerts = [Alert.from_json(fields[b"doc"]) for _, fields in entries]
    first = {a.id: a for a in reversed(alerts) if a.code == "ASYSTOLE" and a.version == 1}
    delays = sorted((ns_of_time(a.published) - ns_of_time(a.onset)) / S for a in first.values() if a.published)
    sounded = sum(a.sounded for a in first.values())
    return {
        "seconds": seconds,
        "planted": sum(map(len, silent.values())),
        "alerts": len(first),
        "sounded": sounded,
        "versions twice": len(alerts) - len({(a.id, a.version) for a in alerts}),
        "p50 s": delays[len(delays) // 2],
        "p99 s": delays[int(len(delays) * 0.99)],
        "max s": delays[-1],
        "rotations": rotations,
        "restarts of workers": site.restarts,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--kafka-home", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, SecuredSite(asked.kafka_home.resolve(), Path(folder)) as site:
        found = run(site, asked.seconds)
    command = f"`python -m benchmarks.secured --seconds {asked.seconds} --kafka-home $KAFKA_HOME`"
    lines = ["# A site on TLS, logins and ACLs alone", "", f"{command}", "", "| | |", "|---|---|"]
    lines += [
        f"| {name} | {value:.1f} |" if isinstance(value, float) else f"| {name} | {value} |"
        for name, value in found.items()
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if asked.out:
        asked.out.write_text(text)


if __name__ == "__main__":
    main()
