"""The committed Python classes of the wire messages are those that ``make proto`` makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from grpc_tools import protoc

STREAMS = Path(__file__).resolve().parents[2] / "streams"


@pytest.mark.parametrize("name", ["ecg_window", "flagged_segment"])
def test_the_generated_classes_are_current(name: str, tmp_path: Path) -> None:
    arguments = ["protoc", f"-I{STREAMS}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    assert protoc.main([*arguments, str(STREAMS / f"{name}.proto")]) == 0
    for suffix in ("_pb2.py", "_pb2.pyi"):
        made = (tmp_path / f"{name}{suffix}").read_text()
        assert (STREAMS / f"{name}{suffix}").read_text() == made, "run `make proto`"
