"""`gem-bedside alarms` whose answers are kept: a benchmark that was interrupted goes on where it stopped.

    python benchmarks/alarm_answers.py FOLDER alarms RECORD… --json [--until S]

In: the arguments of the command, after the folder of kept answers. Out: its answers, one JSON object a line. An answer
is kept under a hash of the record's signal, the product's sources, the options and every ``GEM_BEDSIDE_`` setting, so
that none is reused after a change. Records that are not kept are analysed by the command itself, one after the other.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.capacity_table import code_hash  # noqa: E402

COMMAND = (sys.executable, "-c", "import sys; from deploy.cli import main; sys.exit(main())")
Answer = dict[str, Any]


def answers(records: Sequence[Path], kept: Path, options: Sequence[str] = (), fold: str | None = None) -> list[Answer]:
    """The answer of ``gem-bedside alarms`` for each record, in order.

    Parameters
    ----------
    records : sequence of Path
        WFDB records, without extension.
    kept : Path
        Folder of the kept answers.
    options : sequence of str
        Options of the command, such as ``--until 300``.
    fold : str, optional
        Weights that never saw this fold; otherwise as ``GEM_BEDSIDE_FOLD`` says.

    Raises
    ------
    RuntimeError
        The command gave no answer for a record.
    """
    kept.mkdir(parents=True, exist_ok=True)
    env = dict(os.environ) if fold is None else {**os.environ, "GEM_BEDSIDE_FOLD": fold}
    env["PYTHONPATH"] = str(ROOT)
    files = {record: kept / f"{_key(record, options, env)}.json" for record in records}
    missing = [record for record, file in files.items() if not file.exists()]
    for record, answer in _asked(missing, options, env):
        files[record].write_text(json.dumps(answer))
    lost = [record.name for record, file in files.items() if not file.exists()]
    if lost:
        raise RuntimeError(f"no answer for {', '.join(lost)}")
    return [{**json.loads(file.read_text()), "record": str(record)} for record, file in files.items()]


def _asked(records: Sequence[Path], options: Sequence[str], env: dict[str, str]) -> Iterator[tuple[Path, Answer]]:
    """Record and answer of the command, as they come; errors are answers of the command too, but not kept."""
    if not records:
        return
    named = {str(record): record for record in records}
    command = [*COMMAND, "alarms", *named, "--json", "--jobs", "1", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT) as asked:
        assert asked.stdout is not None
        for line in asked.stdout:
            answer = json.loads(line)
            if "error" not in answer:
                yield named[answer["record"]], answer


def _key(record: Path, options: Sequence[str], env: dict[str, str]) -> str:
    """Hash of all that an answer depends on; the name of the record is not part of it."""
    digest = hashlib.sha256(code_hash().encode() + (ROOT / "deploy" / "alarm_events.py").read_bytes())
    settings = sorted(f"{name}={value}" for name, value in env.items() if name.startswith("GEM_BEDSIDE_"))
    header = record.with_suffix(".hea").read_text().replace(record.name, "")
    digest.update("\n".join([*settings, *options, header]).encode())
    for file in sorted(record.parent.glob(f"{record.name}.*")):
        if file.suffix in (".dat", ".mat"):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def main() -> int:
    """Answer as the command does."""
    folder, verb, *rest = sys.argv[1:]
    if verb != "alarms":
        raise SystemExit("only the verb alarms is known")
    cut = next((k for k, word in enumerate(rest) if word.startswith("--")), len(rest))
    options = [word for word in rest[cut:] if word != "--json"]
    for answer in answers([Path(record) for record in rest[:cut]], Path(folder), options):
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
