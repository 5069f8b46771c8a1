"""Output of a command: tables for people, or with ``--json`` one object per line on standard output, and no more.

Libraries that print (Faust redirects standard output, numerical packages warn) would break ``--json``. With it, file
descriptor 1 therefore points to standard error, and `Output.line` alone writes to standard output.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_WRITTEN_AT_ONCE = 1 << 20  # characters


def finite(value: Any) -> Any:
    """The same JSON value with null for NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if hasattr(value, "item"):  # a NumPy scalar
        return finite(value.item())
    return value


def to_line(answer: dict[str, Any]) -> str:
    """One JSON object on one line; the items of a list or an iterator are written one by one, which saves memory."""
    line = io.StringIO()  # not a list of pieces: an hour of twelve leads is 8 MB of text
    line.writelines(_pieces(answer))
    return line.getvalue()


def _pieces(answer: dict[str, Any]) -> Iterator[str]:
    before = "{"
    for name, value in answer.items():
        yield f"{before}{_json(name)}:"
        if isinstance(value, (list, Iterator)):
            between = "["
            for item in value:
                yield between + _json(item)
                between = ","
            yield "[]" if between == "[" else "]"
        else:
            yield _json(value)
        before = ","
    yield "{}" if before == "{" else "}"


def _json(value: Any) -> str:
    return json.dumps(finite(value), ensure_ascii=False, separators=(",", ":"))


class Output:
    """Standard output of one command.

    Parameters
    ----------
    as_json : bool
        One JSON object per line and no more; otherwise `console` prints tables.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._lines = sys.stdout
        if as_json:
            sys.stdout.flush()
            self._lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
            os.dup2(2, 1)

    def line(self, answer: dict[str, Any] | str | bytes) -> None:
        """Write one answer as a line, and flush."""
        text = answer.decode() if isinstance(answer, bytes) else answer if isinstance(answer, str) else to_line(answer)
        try:
            for k in range(0, len(text), _WRITTEN_AT_ONCE):
                self._lines.write(text[k : k + _WRITTEN_AT_ONCE])
            self._lines.write("\n")
            self._lines.flush()
        except BrokenPipeError:  # the reader has ended, as in `… | head -1`
            os._exit(0)

    @property
    def console(self) -> Console:
        """Rich console on standard output."""
        from rich.console import Console

        return Console(highlight=False)


def complain(message: str) -> None:
    """Print one line to standard error."""
    print(f"gem-bedside: {message}", file=sys.stderr, flush=True)
