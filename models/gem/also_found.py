"""Findings of the prompt that an answer leaves out: a small model now and then skips one of a long list.

In: an answer and the findings of its prompt, in words. Out: a sentence by rule that names those that are missing.
"""

from __future__ import annotations

from collections.abc import Sequence


def unnamed(text: str, findings: Sequence[str]) -> list[str]:
    """The findings that a text does not name, in their order.

    Examples
    --------
    >>> both = ["right bundle branch block", "incomplete right bundle branch block"]
    >>> unnamed("Conclusion: incomplete right bundle branch block.", both)
    ['right bundle branch block']
    """
    rest, missing = text, []
    for finding in sorted(findings, key=len, reverse=True):  # a short name may be a part of a longer one
        if finding not in rest:
            missing.append(finding)
        rest = rest.replace(finding, ";")
    return [finding for finding in findings if finding in missing]


def also_found(text: str, findings: Sequence[str]) -> str:
    """Sentence that names the findings that a text leaves out; empty where it names all.

    Examples
    --------
    >>> also_found("Conclusion: sinus rhythm.", ["sinus rhythm", "bradycardia"])
    'Also found: bradycardia.'
    """
    missing = unnamed(text, findings)
    return f"Also found: {', '.join(missing)}." if missing else ""
