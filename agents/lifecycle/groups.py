"""Which alarm speaks for which: the order inside the alarm chains (`models.arrhythmia.codes.ALARM_GROUPS`).

A code in no chain is a chain of its own. A code may stand in several (those at the head do), so the order is a partial
one: EXTREME_TACHY and EXTREME_BRADY share no chain, and neither speaks for the other.
"""

from __future__ import annotations

from models.arrhythmia.codes import ALARM_GROUPS


def _pairs() -> frozenset[tuple[str, str]]:
    return frozenset(
        (chain[i], lesser) for chain in ALARM_GROUPS for i in range(len(chain)) for lesser in chain[i + 1 :]
    )


_WORSE = _pairs()
_DEPTH = {code: chain.index(code) for chain in ALARM_GROUPS for code in chain}


def worse(code: str, than: str) -> bool:
    """``code`` stands above ``than`` in a chain that they share."""
    return (code, than) in _WORSE


def share_chain(a: str, b: str) -> bool:
    """The two stand in one chain, or are the same code."""
    return a == b or worse(a, b) or worse(b, a)


def depth(code: str) -> int:
    """Place in its chain, 0 for the head: of two that stand above a third, the lower number is the worse."""
    return _DEPTH.get(code, 0)
