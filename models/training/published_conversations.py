"""Training examples from conversation files in the published layout, and batches of them.

In: `Conversation`s and their data folder. Out: `PageExample`: ids and labels [tokens], the ECG window [12, samples] mV,
the pixels of the page where the model has a vision tower. A conversation without ECG gets a flat one; one without an
image gets the page drawn from its ECG. The examples of a step depend on its number alone, so that a resumed run sees
the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from models.corpus.conversation_files import Conversation
from models.corpus.published_layout import PublishedLayout, blank_ecg
from models.ecg import Ecg
from models.gem.ecg_window import ecg_window, fixed_length
from models.gem.merge import IGNORED
from models.gem.page import as_image, reference_page
from models.gem.processing import GemProcessor


@dataclass(frozen=True, eq=False)
class PageExample:
    """One conversation as tensors; see the module."""

    ids: list[int]
    labels: list[int]
    ecg: NDArray[np.float32] | None
    page: Tensor | None
    page_size: tuple[int, int] | None


class ConversationExamples:
    """Examples by index.

    Parameters
    ----------
    conversations : sequence of Conversation
    layout : PublishedLayout
    processor : GemProcessor
    parity : bool
        Windows as the reference makes them: no resampling, lead order of the file.
    """

    def __init__(
        self,
        conversations: Sequence[Conversation],
        layout: PublishedLayout,
        processor: GemProcessor,
        *,
        parity: bool = False,
    ) -> None:
        self._conversations = conversations
        self._layout, self._processor, self._parity = layout, processor, parity

    def __len__(self) -> int:
        return len(self._conversations)

    def __getitem__(self, index: int) -> PageExample:
        """One example.

        Raises
        ------
        MissingFileError
            Its ECG or image is not there.
        ValueError
            It has a question without an answer.
        """
        conversation, config = self._conversations[index], self._processor.config
        turns = [(question, answer) for question, answer in conversation.turns if answer is not None]
        if len(turns) != len(conversation.turns):
            raise ValueError(f"conversation {conversation.id} has a question without an answer")
        ids, labels = self._processor.training_example(turns)
        longest = config.tokenizer_model_max_length
        ecg = self._layout.ecg(conversation) or blank_ecg()
        window = None if config.tower is None else self._window(conversation, ecg, config.tower.samples)
        page, size = None, None
        if config.vision is not None:
            path = self._layout.image_path(conversation)
            image = as_image(reference_page(ecg)) if path is None else Image.open(path)
            page, size = torch.from_numpy(self._processor.pages(image)), image.size
        return PageExample(ids[:longest], labels[:longest], window, page, size)

    def _window(self, conversation: Conversation, ecg: Ecg, samples: int) -> NDArray[np.float32]:
        path = self._layout.ecg_path(conversation) if self._parity else None
        if path is None:
            return ecg_window(ecg, samples=samples)
        import wfdb

        return fixed_length(wfdb.rdsamp(str(path))[0].T, samples)

    def of_step(self, step: int, batch: int, seed: int) -> list[int]:
        """Indices of one step: consecutive places of the epoch's own permutation, all of an epoch before the next."""
        first = step * batch
        return [int(self._order((first + k) // len(self), seed)[(first + k) % len(self)]) for k in range(batch)]

    def _order(self, epoch: int, seed: int) -> NDArray[np.int64]:
        return np.random.default_rng([seed, epoch]).permutation(len(self))


def collate_pages(examples: Sequence[PageExample], pad: int = 0) -> dict[str, Any]:
    """Keyword arguments of ``GemForCausalLM.forward``, padded on the right."""
    longest = max(len(e.ids) for e in examples)
    rows = [(e, longest - len(e.ids)) for e in examples]
    out: dict[str, Any] = {
        "input_ids": torch.tensor([e.ids + [pad] * n for e, n in rows]),
        "labels": torch.tensor([e.labels + [IGNORED] * n for e, n in rows]),
        "attention_mask": torch.tensor([[True] * len(e.ids) + [False] * n for e, n in rows]),
    }
    windows = [e.ecg for e in examples if e.ecg is not None]
    if windows:
        out["ecgs"] = torch.from_numpy(np.stack(windows))
    pages = [e.page for e in examples if e.page is not None]
    if pages:
        out["pages"] = torch.stack(pages) if pages[0].ndim == 3 else pages
        out["page_sizes"] = [e.page_size for e in examples]
    return out
