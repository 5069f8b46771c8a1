"""Keeps the memory that one step frees for the next one, and looks for cycles of garbage seldom.

glibc gives large blocks back to the kernel as soon as they are freed. An analysis makes and frees many arrays of some
hundred kilobytes a second and bed: each would be mapped again, page by page (350 page faults a bed and second, 25 with
these limits).
"""

from __future__ import annotations

import ctypes
import gc
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
MAPPED_FROM = 32 * 1024 * 1024  # bytes: smaller blocks come from the heap, which is kept; glibc takes no larger value
TRIMMED_FROM = 64 * 1024 * 1024  # bytes free at the end of the heap that are kept
COLLECTED_EVERY = 10_000, 20, 20
"""New objects between two collections, and collections of one generation between two of the next. With Python's 700, 10
and 10 a flood of malformed messages spends a third of its time on a search that finds nothing."""


def collect_seldom() -> None:
    """Set the thresholds of Python's collector for this process."""
    gc.set_threshold(*COLLECTED_EVERY)


def keep_freed_memory() -> bool:
    """Set the limits of glibc's malloc for this process; False where the C library is another one."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, MAPPED_FROM) and mallopt(M_TRIM_THRESHOLD, TRIMMED_FROM))
