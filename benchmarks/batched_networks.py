"""CPU time of the delineation network a bed: one call for each bed, and one for all of them.

    python benchmarks/batched_networks.py [--beds 8] [--repeats 100]

In: noise of three leads and four seconds at 250 Hz a bed, as each update of the rhythm tier gives it. Out: milliseconds
of the thread's own CPU time a bed, the lower quartile of the repeats.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from models.networks.delineator import NET_FS_HZ, DelineationNetwork
from models.networks.loading import open_session

LEADS, SECONDS = 3, 4.0


def cpu_ms(call: Callable[[], Any], repeats: int) -> float:
    """Milliseconds of a call."""
    call()
    out = []
    for _ in range(repeats):
        before = time.thread_time()
        call()
        out.append(time.thread_time() - before)
    return 1000.0 * float(np.quantile(out, 0.25))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beds", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=100)
    options = parser.parse_args()
    session = open_session(DelineationNetwork.weights_path())
    shape = (options.beds, LEADS, round(SECONDS * NET_FS_HZ) // 16 * 16)
    x = np.random.default_rng(0).normal(0.0, 1.0, shape).astype(np.float32)
    one = cpu_ms(lambda: [session.run(None, {"x": x[k : k + 1]}) for k in range(options.beds)], options.repeats)
    together = cpu_ms(lambda: session.run(None, {"x": x}), options.repeats)
    print(
        f"a call a bed: {one / options.beds:.2f} ms a bed; one call for {options.beds}: {together / options.beds:.2f}"
    )


if __name__ == "__main__":
    main()
