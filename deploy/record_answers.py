"""One answer for each RECORD of a command line, printed in the given order.

An unreadable record gives ``{"record", "error"}``; the command answers the others and ends with status 1. Several
records are spread over processes, because each is independent and the work is NumPy on one core.
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
    from deploy.record_options import RecordOptions
    from models.records import Record

PARALLEL_FROM = 4  # records; for fewer a second process costs more than it saves

Work = Callable[["Record"], dict[str, Any]]


def answer_record(record: str, options: RecordOptions, work: Work) -> tuple[str, bool, str]:
    """Read one record and compute its answer.

    Returns
    -------
    tuple
        The JSON line, True for an answer (False: an error), and the message about a missing model (else empty).
    """
    try:
        return to_line({"record": record, **work(options.open(record))}), True, ""
    except ServiceMissing as missing:
        return "", False, str(missing)
    except Exception as failed:  # an exception is the answer of this record; the others go on
        if not isinstance(failed, (OSError, ValueError)):
            traceback.print_exc(file=sys.stderr)
        return to_line({"record": record, "error": f"{failed}" or type(failed).__name__}), False, ""


def _answers(records: Sequence[str], options: RecordOptions, work: Work, jobs: int) -> Iterator[tuple[str, bool, str]]:
    if jobs <= 1:
        for record in records:
            yield answer_record(record, options, work)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # else each process starts a thread for every core
    # fork: the workers inherit the imports, and no library has started a thread before this point
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        pending = [pool.submit(answer_record, record, options, work) for record in records]
        for answer in pending:
            yield answer.result()


def answer_records(
    records: Sequence[str],
    options: RecordOptions,
    work: Work,
    out: Output,
    show: Callable[[dict[str, Any]], None],
    jobs: int = 0,
) -> None:
    """Answer every record; raise `CommandFailed` at the end where some are unreadable.

    Parameters
    ----------
    records : sequence of str
        Arguments of the command line, repeated in the answers.
    options : RecordOptions
        Sampling rate, channels and unit.
    work : callable
        Answer of one record, without the key ``record``; must be picklable.
    out : Output
        Destination of the lines.
    show : callable
        Print one answer for people, where `out` is not JSON.
    jobs : int
        Number of processes; 0: one per core, from `PARALLEL_FROM` records on.
    """
    import json

    if jobs == 0:
        jobs = min(
            len(records), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        jobs = jobs if len(records) >= PARALLEL_FROM else 1
    failed = 0
    for line, good, missing in _answers(records, options, work, jobs):
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
