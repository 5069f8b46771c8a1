"""Answers of Redis in one form, independent of the client's protocol version (RESP2, RESP3) and decoding."""

from __future__ import annotations

from typing import Any


def text(value: Any) -> str:
    """``str`` from ``bytes`` or ``str``."""
    return value.decode() if isinstance(value, bytes) else str(value)


def stream_entries(answer: Any) -> list[tuple[Any, dict[Any, Any]]]:
    """Entries of an XREADGROUP on one stream: ``[[name, entries]]`` in RESP2, ``{name: [entries]}`` in RESP3."""
    if not answer:
        return []
    if isinstance(answer, dict):
        return [entry for batches in answer.values() for entries in batches for entry in entries]
    return [entry for _, entries in answer for entry in entries]


def entries_by_stream(answer: Any) -> list[tuple[str, list[tuple[Any, dict[Any, Any]]]]]:
    """Entries of an XREAD on several streams, with the name of each stream."""
    if not answer:
        return []
    if isinstance(answer, dict):
        return [(text(name), [entry for entries in batches for entry in entries]) for name, batches in answer.items()]
    return [(text(name), list(entries)) for name, entries in answer]
