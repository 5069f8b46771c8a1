"""Inputs of GEM from an ``Ecg`` and a question: ECG windows, page pixels and token ids.

Out: keyword arguments of ``GemForCausalLM.generate`` and ``forward``: ``input_ids`` int [batch, tokens],
``attention_mask`` bool [batch, tokens], ``ecgs`` float [batch, 12, 5000] mV, ``pages`` float [batch, 3, s, s] or a list
of [crops, 3, s, s], ``page_sizes``. CLIP's own preprocessing of the page; the window is `models.gem.ecg_window`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from models.ecg import Ecg
from models.gem.anyres import PINPOINTS, Size, best_resolution, fitted, tuple_of
from models.gem.configuration import GemConfig
from models.gem.conversation import TEMPLATES, gem_prompt
from models.gem.ecg_window import ecg_window
from models.gem.merge import IGNORED
from models.gem.page import as_image, reference_page
from models.gem.special_tokens import IMAGE_MARK
from models.gem.tokenizer import GemTokenizer

Floats = NDArray[np.float32]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class PagePreprocessor:
    """CLIP's image preprocessing in the three ways of LLaVA.

    Attributes
    ----------
    size : int
        Side of a view, pixels.
    aspect : str
        ``pad``: on a square of the mean colour. ``anyres``: the whole page squashed to a square, then crops of the best
        grid. Anything else, ``ori`` too: shortest side to ``size``, centre crop.
    pinpoints : tuple of (width, height)
        Grids of ``anyres``.
    mean, std : tuple of float
    """

    size: int = 336
    aspect: str = "ori"
    pinpoints: tuple[Size, ...] = PINPOINTS
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    @classmethod
    def of(cls, config: GemConfig, clip_folder: Path | None = None) -> Self:
        """For a checkpoint; ``preprocessor_config.json`` of its CLIP folder is read where there is one."""
        size = int(config.vision.image_size) if config.vision is not None else 336
        mean, std = CLIP_MEAN, CLIP_STD
        path = clip_folder / "preprocessor_config.json" if clip_folder else None
        if path is not None and path.is_file():
            document = json.loads(path.read_text())
            size, mean, std = int(document["crop_size"]["height"]), document["image_mean"], document["image_std"]
        points = tuple(tuple_of(p) for p in config.image_grid_pinpoints or PINPOINTS)
        return cls(size, config.image_aspect_ratio, points, _three(mean), _three(std))

    def __call__(self, page: Image.Image) -> Floats:
        """[3, size, size], or for ``anyres`` [1 + crops, 3, size, size]: the whole page first."""
        page = page.convert("RGB")
        if self.aspect == "pad":
            return self._view(self._squared(page))
        if self.aspect == "anyres":
            return np.stack([self._view(view) for view in self._views(page)])
        return self._view(page)

    def _view(self, image: Image.Image) -> Floats:
        """One view through CLIP's own steps: bicubic to the shortest side, centre crop, scale, normalise."""
        w, h = image.size
        short = min(w, h)
        image = image.resize((int(self.size * w / short), int(self.size * h / short)), Image.Resampling.BICUBIC)
        w, h = image.size
        left, top = (w - self.size) // 2, (h - self.size) // 2
        pixels = np.asarray(image, np.uint8)[top : top + self.size, left : left + self.size]
        scaled = (pixels * np.float64(1 / 255)).astype(np.float32)
        normal = np.divide(scaled - np.array(self.mean, np.float32), np.array(self.std, np.float32), dtype=np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))

    def _squared(self, page: Image.Image) -> Image.Image:
        w, h = page.size
        side = max(w, h)
        square = Image.new("RGB", (side, side), tuple(int(x * 255) for x in self.mean))
        square.paste(page, ((side - w) // 2, (side - h) // 2))
        return square

    def _views(self, page: Image.Image) -> list[Image.Image]:
        canvas = best_resolution(page.size, self.pinpoints)
        inner = fitted(page.size, canvas)
        boxed = Image.new("RGB", canvas)
        boxed.paste(page.resize(inner), ((canvas[0] - inner[0]) // 2, (canvas[1] - inner[1]) // 2))
        crops = [
            boxed.crop((x, y, x + self.size, y + self.size))
            for y in range(0, canvas[1], self.size)
            for x in range(0, canvas[0], self.size)
        ]
        return [page.resize((self.size, self.size)), *crops]


class GemProcessor:
    """Builds the inputs of one model.

    Parameters
    ----------
    config : GemConfig
    tokenizer : GemTokenizer
    pages : PagePreprocessor

    Examples
    --------
    >>> processor = GemProcessor.load(folder)                                             # doctest: +SKIP
    >>> batch = processor([ecg_a, ecg_b], ["What is the rhythm?", "Is there ST elevation?"])      # doctest: +SKIP
    >>> answers = processor.tokenizer.decode(model.generate(**batch, max_new_tokens=64)[0])  # doctest: +SKIP
    """

    def __init__(self, config: GemConfig, tokenizer: GemTokenizer, pages: PagePreprocessor) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.pages = pages

    @classmethod
    def load(cls, folder: Path | str, config: GemConfig) -> Self:
        """For a checkpoint folder and the configuration that ``load_checkpoint`` read from it."""
        folder = Path(folder)
        clip = folder / config.mm_vision_tower if config.mm_vision_tower else None
        return cls(config, GemTokenizer(folder / "tokenizer.model"), PagePreprocessor.of(config, clip))

    def __call__(
        self,
        ecgs: Sequence[Ecg],
        questions: Sequence[str],
        *,
        pages: Sequence[Image.Image] | None = None,
        parity: bool = False,
    ) -> dict[str, Any]:
        """Keyword arguments of ``GemForCausalLM.generate`` for a batch, padded on the left.

        Parameters
        ----------
        ecgs : sequence of Ecg
        questions : sequence of str
        pages : sequence of images or None
            None: pages are drawn from the ECGs, where the model has a vision tower.
        """
        ids = [self.tokenizer.encode_prompt(gem_prompt(question)) for question in questions]
        out: dict[str, Any] = {}
        if self.config.tower is not None:
            samples = self.config.tower.samples
            out["ecgs"] = torch.from_numpy(np.stack([ecg_window(e, parity=parity, samples=samples) for e in ecgs]))
        if self.config.vision is not None:
            drawn = list(pages) if pages is not None else [as_image(reference_page(e)) for e in ecgs]
            views = [torch.from_numpy(self.pages(page)) for page in drawn]
            out["pages"] = torch.stack(views) if views[0].ndim == 3 else views
            out["page_sizes"] = [page.size for page in drawn]
        longest = max(map(len, ids))
        out["input_ids"] = torch.tensor([[0] * (longest - len(row)) + row for row in ids])
        out["attention_mask"] = torch.tensor([[False] * (longest - len(row)) + [True] * len(row) for row in ids])
        return out

    def training_example(self, turns: Sequence[tuple[str, str]], *, mark: bool = True) -> tuple[list[int], list[int]]:
        """Ids and labels of a conversation: the loss is taken on each answer and the ``</s>`` after it.

        Parameters
        ----------
        turns : sequence of (question, answer)
            The mark of ECG and page is put in front of the first question unless it is there.
        """
        template = TEMPLATES["llava_v1"]
        first = turns[0][0]
        turns = [((first if IMAGE_MARK in first or not mark else f"{IMAGE_MARK}\n{first}"), turns[0][1]), *turns[1:]]
        ids = self.tokenizer.encode_prompt(template.prompt(turns))
        labels = [IGNORED] * len(ids)
        ends = [k for k, token in enumerate(ids) if token == self.tokenizer.eos]
        if len(ends) != len(turns):
            raise ValueError(f"{len(turns)} turns, but {len(ends)} ends of an answer: a text holds </s>")
        for n, end in enumerate(ends):
            asked: list[tuple[str, str | None]] = [*turns[:n], (turns[n][0], None)]
            start = len(self.tokenizer.encode_prompt(template.prompt(asked)))
            labels[start : end + 1] = ids[start : end + 1]
        return ids, labels


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    a, b, c = values
    return float(a), float(b), float(c)
