"""Answers of Redis in one form, independent of the client's protocol version (RESP2, RESP3) and decoding."""

from __future__ import annotations

from typing import Any


def text(value: Any) -> str:
    """``str`` from ``bytes`` or ``str``; bytes that are no UTF-8 become U+FFFD: one bad name stops no reader."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


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


def entry_order(entry_id: str) -> tuple[int, int]:
    """Sort key of an entry id, ``<ms>-<sequence>``.

    >>> entry_order("1700000000000-10") > entry_order("1700000000000-9")
    True
    """
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence or 0)
