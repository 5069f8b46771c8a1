"""The decoders of `tests.streams.test_fuzzed_decoders` under atheris, which chooses bytes by the code that they reach.

By hand, a decoder at a time; ``pip install atheris`` first (a package for Linux that no other part needs). An exception
that the readers do not expect, or work of more than two seconds, ends the run with the bytes in a file ``crash-…``.

    python -m tests.streams.coverage_guided "window" -runs=200000
    python -m tests.streams.coverage_guided --all -runs=50000
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["agents", "streams"]):
    from tests.streams.test_fuzzed_decoders import DECODERS, SECONDS


def main() -> int:
    """Fuzz the named decoder, or each in a process of its own."""
    name, options = sys.argv[1], sys.argv[2:]
    if name == "--all":
        return max(subprocess.call([sys.executable, "-m", __spec__.name, each, *options]) for each in DECODERS)
    decoder = DECODERS[name]

    def holds(value: bytes) -> None:
        began = time.process_time()
        with contextlib.suppress(*decoder.raises):
            decoder.decode(value)
        assert time.process_time() - began < SECONDS

    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "valid").write_bytes(decoder.valid)
        atheris.Setup([name, corpus, f"-artifact_prefix={Path.cwd()}/", *options], holds)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
