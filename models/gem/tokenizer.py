"""LLaMA's SentencePiece tokenizer as the reference uses it (transformers' slow class, ``legacy=False``).

No space is put in front of a chunk by SentencePiece itself; one ``▁`` is put in front of the whole text, and what
follows a special token starts without one. Needs ``sentencepiece`` and a folder's ``tokenizer.model``, no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from models.gem.special_tokens import IMAGE_MARK, IMAGE_TOKEN
from models.networks.shipped_files import check_shipped

SPACE = "▁"  # SentencePiece writes a blank as this


class GemTokenizer:
    """Text to ids and back.

    Parameters
    ----------
    model : path
        ``tokenizer.model``: a SentencePiece model whose control pieces are ``<unk>``, ``<s>``, ``</s>``.
    """

    def __init__(self, model: Path) -> None:
        from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

        if not model.is_file():
            raise FileNotFoundError(f"{model} is missing: a GEM folder holds its SentencePiece model under this name")
        check_shipped(model)
        self.model = model
        proto = sentencepiece_model_pb2.ModelProto.FromString(model.read_bytes())
        proto.normalizer_spec.add_dummy_prefix = False
        self._pieces = SentencePieceProcessor(model_proto=proto.SerializeToString())
        self.bos, self.eos, self.unk = self._pieces.bos_id(), self._pieces.eos_id(), self._pieces.unk_id()
        self._special = {self._pieces.id_to_piece(i): i for i in (self.unk, self.bos, self.eos) if i >= 0}
        self._split = re.compile("(" + "|".join(map(re.escape, self._special)) + ")")

    @property
    def vocabulary(self) -> int:
        """Number of pieces."""
        return int(self._pieces.get_piece_size())

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Ids of a text, with the leading ``<s>`` by default."""
        ids = [self.bos] if bos else []
        text = text.replace(SPACE, " ")
        for k, part in enumerate(self._split.split(SPACE + text if text else "")):
            if part in self._special:
                ids.append(self._special[part])
            elif part and not (k == 0 and part == SPACE and len(text) > 0 and self._starts_special(text)):
                ids.extend(self._chunk(part))
        return ids

    def encode_prompt(self, prompt: str) -> list[int]:
        """Ids of a prompt with ``<image>`` marks: each chunk on its own, ``<s>`` once, ``IMAGE_TOKEN`` at each mark."""
        ids = [self.bos]
        for k, chunk in enumerate(prompt.split(IMAGE_MARK)):
            if k:
                ids.append(IMAGE_TOKEN)
            ids.extend(self.encode(chunk, bos=False))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids; special tokens are left out, bytes that are no UTF-8 become U+FFFD."""
        kept = [int(i) for i in ids if i not in (self.bos, self.eos, self.unk)]
        text: str = self._pieces.decode(kept)
        # SentencePiece without its dummy prefix keeps the blank that stands for the start of the text.
        return text.removeprefix(" ") if kept and self._pieces.id_to_piece(kept[0]).startswith(SPACE) else text

    def _starts_special(self, text: str) -> bool:
        return any(text.startswith(name) for name in self._special)

    def _chunk(self, text: str) -> list[int]:
        """Ids of text between special tokens; after an unknown token SentencePiece keeps a leading blank as it is."""
        if not text.startswith((SPACE, " ")):
            return list(self._pieces.encode(text))
        mark: str = self._pieces.id_to_piece(self.unk)
        lead = len(self._pieces.encode(mark))
        return list(self._pieces.encode(mark + text))[lead:]
