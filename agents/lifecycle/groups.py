"""Order of alarm codes inside the alarm groups (`ALARM_GROUPS`): only the highest-ranked one of a group sounds.

A code outside all groups is a group of its own. A code may be in several groups (the highest ones are), so the order is
partial: EXTREME_TACHY and EXTREME_BRADY share no group, and neither supersedes the other.
"""

from __future__ import annotations

from models.arrhythmia.codes import ALARM_GROUPS


def _pairs() -> frozenset[tuple[str, str]]:
    return frozenset(
        (chain[i], lesser) for chain in ALARM_GROUPS for i in range(len(chain)) for lesser in chain[i + 1 :]
    )


_OUTRANKS = _pairs()
_RANK = {code: chain.index(code) for chain in ALARM_GROUPS for code in chain}


def outranks(code: str, than: str) -> bool:
    """True when ``code`` stands above ``than`` in an alarm group that has both."""
    return (code, than) in _OUTRANKS


def share_group(a: str, b: str) -> bool:
    """True when two codes are in one alarm group, or are the same."""
    return a == b or outranks(a, b) or outranks(b, a)


def rank(code: str) -> int:
    """Position of a code in its alarm group: 0 for the highest-ranked."""
    return _RANK.get(code, 0)
