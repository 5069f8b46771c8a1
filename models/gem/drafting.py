"""Drafts of the next tokens, which the model verifies in one step: an answer takes fewer steps and stays the same.

In: the ids of texts that the answer may follow (what the measured evidence will probably be worded as, and the prompt),
then each token of the answer. Out: the tokens that followed the same last tokens there. A decoder runs the last token
and its draft in one step and keeps the tokens up to the first that the model would have chosen otherwise, and that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.gem.special_tokens import IMAGE_TOKEN
from models.gem.tokenizer import GemTokenizer

WIDTH = 8  # tokens of a draft, at most
MATCH = 5  # last tokens that are looked up, at most; then fewer, down to one


@dataclass(slots=True)
class DraftCounts:
    """How well drafts were: sums over answers."""

    steps: int = 0
    drafted: int = 0
    accepted: int = 0

    def add(self, drafted: int, accepted: int) -> None:
        """Count one step of one answer."""
        self.steps += 1
        self.drafted += drafted
        self.accepted += accepted

    @property
    def acceptance(self) -> float:
        """Share of the drafted tokens that the model would have chosen."""
        return self.accepted / self.drafted if self.drafted else float("nan")

    @property
    def tokens_a_step(self) -> float:
        """Tokens that a step gives: those accepted, and the model's own."""
        return 1.0 + self.accepted / self.steps if self.steps else float("nan")


def sources_of(tokenizer: GemTokenizer, likely: Sequence[str], prompt: Sequence[int]) -> list[list[int]]:
    """Ids of likely answers, each with its end, and those of the prompt behind the marks of ECG and page."""
    marks = [k for k, token in enumerate(prompt) if token == IMAGE_TOKEN]
    texts = [[*tokenizer.encode(text, bos=False), tokenizer.eos] for text in likely]
    return [*texts, list(prompt[marks[-1] + 1 if marks else 0 :])]


class Drafter:
    """Drafts for one answer.

    Parameters
    ----------
    sources : sequence of token ids
        The first that has the last tokens gives the draft; the longest match goes before all.
    width : int

    Examples
    --------
    >>> drafter = Drafter([[7, 1, 2, 3, 4, 5], [9, 2, 6]], width=3)
    >>> drafter.add([2])
    >>> drafter.draft()
    [3, 4, 5]
    >>> drafter.add([6, 9, 2])
    >>> drafter.draft()
    [6]
    """

    def __init__(self, sources: Sequence[Sequence[int]], width: int = WIDTH) -> None:
        self._sources = [list(source) for source in sources]
        self._width = width
        self._last: list[int] = []
        self._after: dict[tuple[int, ...], tuple[int, int]] = {}
        for which, source in enumerate(self._sources):
            for n in range(1, MATCH + 1):
                for place in range(n, len(source)):
                    self._after.setdefault(tuple(source[place - n : place]), (which, place))

    def add(self, tokens: Sequence[int]) -> None:
        """The answer goes on with these tokens."""
        self._last = [*self._last, *tokens][-MATCH:]

    def draft(self) -> list[int]:
        """Tokens that may follow; empty where nothing is known."""
        for n in range(len(self._last), 0, -1):
            found = self._after.get(tuple(self._last[-n:]))
            if found is not None:
                which, place = found
                return self._sources[which][place : place + self._width]
        return []


def verified(draft: Sequence[int], chosen: Sequence[int]) -> list[int]:
    """Tokens that a step gives.

    Parameters
    ----------
    draft : sequence of int
        Tokens that were run behind the last token.
    chosen : sequence of int
        The model's choice after the last token and after each of the draft, one more than the draft.

    Examples
    --------
    >>> verified([3, 4, 5], [3, 4, 9, 2])
    [3, 4, 9]
    >>> verified([], [7])
    [7]
    """
    right = 0
    while right < len(draft) and draft[right] == chosen[right]:
        right += 1
    return list(chosen[: right + 1])
