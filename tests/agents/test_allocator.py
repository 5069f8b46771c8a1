"""The allocator keeps what a step has freed: the next step takes no page faults for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from agents.allocator import keep_freed_memory
assert sys.argv[1] == "plain" or keep_freed_memory()
def step():
    arrays = [np.ones(40_000) for _ in range(8)]  # of an analysis: 320 kB each
    return sum(float(a[0]) for a in arrays)
for _ in range(20):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 100)
"""


def faults_a_step(how: str) -> float:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone")
def test_arrays_that_are_freed_and_made_again_take_no_new_pages() -> None:
    assert faults_a_step("kept") < 5.0
    assert faults_a_step("plain") > 50.0  # without it each array is mapped anew


def test_a_worker_looks_for_garbage_seldom() -> None:
    program = "import gc; from agents.allocator import collect_seldom; collect_seldom(); print(gc.get_threshold()[0])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 10_000
