"""One answer for each RECORD of a command line: read, worked on and printed in the order given.

A record that cannot be read gives ``{"record", "error"}``; the others are still answered, and the command ends with
status 1. Several records are spread over processes, because each is independent and the work is NumPy on one core.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from deploy.failures import CommandFailed, ServiceMissing
from deploy.output import Output, complain, to_line

if TYPE_CHECKING:
    from models.ecg import Ecg

PARALLEL_FROM = 4  # records; below it a second process costs more than it saves

Work = Callable[["Ecg"], dict[str, Any]]


def answer_record(record: str, fs_hz: float | None, work: Work) -> tuple[str, bool, str]:
    """Read one record and work on it.

    Returns
    -------
    tuple
        The JSON line, whether it is an answer (False: an error), and the message where a needed model is missing
        (empty otherwise).
    """
    from models.records import read_record

    try:
        ecg = read_record(record, fs_hz)
        return to_line({"record": record, **work(ecg)}), True, ""
    except ServiceMissing as missing:
        return "", False, str(missing)
    except Exception as failed:  # any fault of one record is that record's answer; the others go on
        if not isinstance(failed, (OSError, ValueError)):
            traceback.print_exc(file=sys.stderr)
        return to_line({"record": record, "error": f"{failed}" or type(failed).__name__}), False, ""


def _answers(records: Sequence[str], fs_hz: float | None, work: Work, jobs: int) -> Iterator[tuple[str, bool, str]]:
    if jobs <= 1:
        for record in records:
            yield answer_record(record, fs_hz, work)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # else each process starts a thread for every core
    # fork: the workers inherit what is imported, and nothing heavy has started a thread before this point
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        pending = [pool.submit(answer_record, record, fs_hz, work) for record in records]
        for answer in pending:
            yield answer.result()


def answer_records(
    records: Sequence[str],
    fs_hz: float | None,
    work: Work,
    out: Output,
    show: Callable[[dict[str, Any]], None],
    jobs: int = 0,
) -> None:
    """Answer every record; raise `CommandFailed` at the end where some could not be read.

    Parameters
    ----------
    records : sequence of str
        As given on the command line; repeated in the answers.
    fs_hz : float or None
        Sampling rate of CSV files.
    work : callable
        Picklable; makes the answer of one ECG, without the key ``record``.
    out : Output
        Where the lines go.
    show : callable
        Prints one answer for people, when `out` is not JSON.
    jobs : int
        Processes; 0: one a core, from `PARALLEL_FROM` records on.
    """
    import json

    if jobs == 0:
        jobs = min(
            len(records), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        jobs = jobs if len(records) >= PARALLEL_FROM else 1
    failed = 0
    for line, good, missing in _answers(records, fs_hz, work, jobs):
        if missing:
            raise ServiceMissing(missing)
        failed += not good
        if out.as_json:
            out.line(line)
        elif good:
            show(json.loads(line))
        else:
            problem = json.loads(line)
            complain(f"{problem['record']}: {problem['error']}")
    if failed:
        raise CommandFailed(f"{failed} of {len(records)} records could not be read")
