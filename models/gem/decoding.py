"""Greedy decoding of GEM in slots with torch: a static key and value cache, on CUDA one captured graph per batch size.

Each slot holds one sequence at its own length, so that requests come and go without padding each other. A step reads
the cache up to a window (a multiple of ``WINDOW``) and masks the positions past the end of each sequence. On CUDA the
step of a batch size and window is captured once as a CUDA graph and replayed, which removes the launch of some thousand
kernels from every token. The cost of a step is then memory traffic: weights once, cache once (benchmarks/gem.md).

Arithmetic is that of LLaMA, on the modules and weights of transformers.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from models.encoder.safetensors_folder import tensor_shapes
from models.encoder.weights_digest import checked_digest
from models.gem.checkpoint import load_checkpoint
from models.gem.errors import DeviceLost, OutOfMemory
from models.gem.estimates import NOT_READABLE, Estimates
from models.gem.fused_layer import FusedLayer, rotation
from models.gem.modeling import GemForCausalLM
from models.gem.page import REFERENCE_SIZE
from models.gem.processing import GemProcessor
from models.gem.request import GemRequest, ModelCard, Prepared
from models.gem.sources import asked, read_sources

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LARGE_PARAMETERS = 500_000_000  # from here a step in fp32 reads 2 GB or more: memory traffic is its cost
LONGEST = 2048  # positions of a slot, at most: a page, a question and 1,000 words
MOST_SLOTS = 32
CPU_SLOTS = 4
WINDOW = 256  # the cache is read in steps of this many positions
KEPT_FREE = 3 * 2**30  # bytes of GPU memory left for activations of a prefill and for captured graphs
BATCHES = (1, 2, 4, 8, 16, 32)
WARM_UPS = 2  # runs before a capture: kernels choose their algorithms and allocate their workspaces


class TorchDecoder:
    """A loaded GEM with its slots.

    Parameters
    ----------
    model : GemForCausalLM
    processor : GemProcessor
    card : ModelCard
    slots, longest : int
        Sequences at a time, and positions each may have.
    graphs : bool or None
        Capture steps as CUDA graphs; None: on CUDA.
    """

    def __init__(
        self,
        model: GemForCausalLM,
        processor: GemProcessor,
        card: ModelCard,
        *,
        slots: int,
        longest: int,
        graphs: bool | None = None,
    ) -> None:
        self.model, self.processor, self.card = model, processor, card
        self.slots, self.longest = slots, longest
        self.eos = processor.tokenizer.eos
        weight = model.lm_head.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.graphs = self.device.type == "cuda" if graphs is None else graphs
        config = model.config
        self._heads, self._kv_heads = config.num_attention_heads, config.num_key_value_heads
        self._head, self._grouped = config.head_dim, config.num_attention_heads != config.num_key_value_heads
        shape = (config.num_hidden_layers, slots, self._kv_heads, longest, self._head)
        self._keys = torch.zeros(shape, device=self.device, dtype=self.dtype)
        self._values = torch.zeros(shape, device=self.device, dtype=self.dtype)
        self._tokens = torch.zeros(slots, dtype=torch.long, device=self.device)
        self._lengths = torch.zeros(slots, dtype=torch.long, device=self.device)
        self._host_lengths = [0] * slots
        self._cos, self._sin = rotation(model.model.rotary_emb, longest, weight)
        self._at = torch.arange(max(longest, slots), device=self.device)
        self._layers = [FusedLayer(x, self._heads, self._kv_heads, self._head) for x in model.model.layers]
        self._captured: dict[tuple[int, int], Any] = {}

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str = "auto",
        dtype: str = "auto",
        *,
        slots: int | None = None,
        longest: int | None = None,
        threads: int | None = None,
    ) -> Self:
        """From a checkpoint folder; see ``GemEngine.load``."""
        if threads is not None:
            torch.set_num_threads(threads)
        place = choose_device(device)
        precision = choose_precision(dtype, place, folder)
        digest = checked_digest(folder)
        with device_errors():
            model = load_checkpoint(folder, device=place, dtype=DTYPES[precision])
            longest = min(longest or LONGEST, model.config.max_position_embeddings)
            slots = slots or _slots_that_fit(model, longest, place)
            card = ModelCard(folder.name, digest, precision, str(place), model.config.trained)
            return cls(model, GemProcessor.load(folder, model.config), card, slots=slots, longest=longest)

    def prompt(self, request: GemRequest) -> Prepared:
        """Ids, ECG window and page of a request."""
        config = self.model.config
        sources = None if config.measuring is None else read_sources(request, self._estimate)
        if sources is not None and not sources.used.readable:
            return Prepared(None, answer=NOT_READABLE)
        in_words = asked(request, sources, config.evidence_in_prompt)
        inputs = self.processor([request.ecg], [in_words.question], pages=self._pages(request))
        return Prepared(inputs, "" if sources is None else sources.remark, findings=in_words.findings)

    @torch.inference_mode()
    def _estimate(self, window: NDArray[np.float32]) -> Estimates:
        """The measuring tower's estimates of a window [12, 5000] mV."""
        (estimates,) = self.model.model.estimates(torch.from_numpy(window[None]).to(self.device))
        return estimates

    def _pages(self, request: GemRequest) -> list[Image.Image] | None:
        """The page that a request brings; None: the processor draws it."""
        if self.model.config.vision is None:
            return None
        if request.blank_page:
            return [Image.new("RGB", REFERENCE_SIZE, "white")]
        return None if request.page is None else [Image.open(request.page)]

    @torch.inference_mode()
    def start(self, slot: int, prompt: dict[str, Any]) -> tuple[int, int]:
        """Prefill a slot with a prompt; returns the first new token and the length of the prompt."""
        with device_errors():
            merged = self.model.merge(
                prompt["input_ids"].to(self.device),
                ecgs=_to(prompt.get("ecgs"), self.device),
                pages=_to(prompt.get("pages"), self.device),
                page_sizes=prompt.get("page_sizes"),
            )
            return self.start_with(slot, merged.inputs_embeds)

    @torch.inference_mode()
    def start_with(self, slot: int, embeds: Tensor) -> tuple[int, int]:
        """``start`` from a prompt's embeddings [1, T, hidden]."""
        length = embeds.shape[1]
        if length >= self.longest:
            raise ValueError(f"the prompt has {length} positions, a slot holds {self.longest} with the answer")
        token = int(self._prefill(slot, embeds).argmax())
        self._tokens[slot], self._lengths[slot] = token, length
        self._host_lengths[slot] = length
        return token, length

    @torch.inference_mode()
    def step(self, active: int) -> list[list[int]]:
        """The next token of the first ``active`` slots."""
        with device_errors():
            batch = next(b for b in (*BATCHES, active) if b >= active) if self.graphs else active
            batch = min(batch, self.slots)
            needed = max(self._host_lengths[:active]) + 1
            window = min(-(-needed // WINDOW) * WINDOW, self.longest)
            if batch > active:  # inactive slots of the batch compute at position 0, which nothing reads
                self._lengths[active:batch] = 0
            if self.graphs:
                self._replay(batch, window)
            else:
                self._decode(batch, window)
            tokens: list[int] = self._tokens[:active].tolist()
        for slot in range(active):
            self._host_lengths[slot] += 1
        return [[token] for token in tokens]

    @torch.inference_mode()
    def warm(self, batches: Iterable[int], positions: int) -> None:
        """Capture the steps of these batch sizes for every window up to ``positions``, so that none is captured later.

        Where steps are not captured there is nothing to do.
        """
        if not self.graphs:
            return
        last = min(-(-positions // WINDOW) * WINDOW, self.longest)
        with device_errors():
            for batch in batches:
                for window in dict.fromkeys([*range(WINDOW, last, WINDOW), last]):
                    if (batch, window) not in self._captured:
                        self._captured[batch, window] = self._capture(batch, window)

    def move(self, source: int, target: int) -> None:
        """Copy the sequence of one slot, with its cache, to another slot."""
        length = self._host_lengths[source]
        for cache in (self._keys, self._values):
            cache[:, target, :, :length] = cache[:, source, :, :length]
        self._tokens[target], self._lengths[target] = self._tokens[source].clone(), self._lengths[source].clone()
        self._host_lengths[target] = length

    def text(self, ids: list[int]) -> str:
        """Text of token ids."""
        return self.processor.tokenizer.decode(ids)

    def _prefill(self, slot: int, x: Tensor) -> Tensor:
        """Embeddings x [1, T, hidden] → logits of the last position [vocabulary]; fills the slot's cache."""
        T = x.shape[1]
        cos, sin = self._cos[:T], self._sin[:T]
        for n, layer in enumerate(self._layers):
            q, k, v = layer.attention_inputs(x, cos, sin)  # [1, H, T, D]
            self._keys[n, slot, :, :T], self._values[n, slot, :, :T] = k[0], v[0]
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self._grouped)
            x = layer.output(x, y)
        last: Tensor = self.model.lm_head(self.model.model.norm(x[:, -1]))
        return last[0]

    def _decode(self, batch: int, window: int) -> None:
        """One step of the first ``batch`` slots, in place: tokens, lengths and caches advance by one position."""
        lengths = self._lengths[:batch]
        x = self.model.model.embed_tokens(self._tokens[:batch])[:, None]  # [B, 1, hidden]
        cos, sin = self._cos[lengths][:, None, None], self._sin[lengths][:, None, None]  # [B, 1, 1, D]
        mask = (self._at[:window] <= lengths[:, None])[:, None, None]  # [B, 1, 1, window]
        rows = self._at[:batch]
        for n, layer in enumerate(self._layers):
            q, k, v = layer.attention_inputs(x, cos, sin)  # [B, H, 1, D]
            self._keys[n, rows, :, lengths] = k[:, :, 0]
            self._values[n, rows, :, lengths] = v[:, :, 0]
            y = functional.scaled_dot_product_attention(
                q,
                self._keys[n, :batch, :, :window],
                self._values[n, :batch, :, :window],
                attn_mask=mask,
                enable_gqa=self._grouped,
            )
            x = layer.output(x, y)
        logits = self.model.lm_head(self.model.model.norm(x[:, 0]))
        self._tokens[:batch] = logits.argmax(dim=-1)
        self._lengths[:batch] += 1

    def _replay(self, batch: int, window: int) -> None:
        graph = self._captured.get((batch, window))
        if graph is None:
            graph = self._captured[batch, window] = self._capture(batch, window)
        graph.replay()

    def _capture(self, batch: int, window: int) -> Any:
        """Capture a step. Tokens and lengths are restored; the cache entries of the warm-up runs are overwritten."""
        tokens, lengths = self._tokens.clone(), self._lengths.clone()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._decode(batch, window)
                self._tokens.copy_(tokens)
                self._lengths.copy_(lengths)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._captured.values())).pool() if self._captured else None
        with torch.cuda.graph(graph, pool=pool):
            self._decode(batch, window)
        self._tokens.copy_(tokens)
        self._lengths.copy_(lengths)
        return graph


def choose_device(device: str) -> torch.device:
    """Device for ``auto``, ``cpu`` or ``cuda``; raises `DeviceLost` where it does not exist."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceLost(f"device {device} was asked for, but torch {torch.__version__} sees no CUDA device")
    if device not in ("cpu", "cuda") and not device.startswith("cuda:"):
        raise ValueError(f"device {device!r} is not one of auto, cpu, cuda")
    return torch.device(device)


def choose_precision(dtype: str, place: torch.device, folder: Path) -> str:
    """Precision for ``auto``: bf16 for a large model on CUDA, fp32 for every other.

    A small model's answers change in bf16 (the compact GEM's text was the CPU's for 9 of 24 records, in fp32 for 24),
    and its step waits for launches, not for memory: fp32 costs it nothing that counts.

    Raises
    ------
    ValueError
        No such precision.
    CheckpointError
        The folder holds no tensors.
    """
    if dtype == "auto":
        large = place.type == "cuda" and _parameters(folder) >= LARGE_PARAMETERS
        return "bf16" if large else "fp32"
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is not one of auto, {', '.join(DTYPES)}")
    return dtype


def _parameters(folder: Path) -> int:
    """Weights of a checkpoint folder, by the headers of its files."""
    shapes, _ = tensor_shapes(folder)
    return sum(math.prod(shape) for shape in shapes.values())


@contextlib.contextmanager
def device_errors() -> Iterator[None]:
    """Translate errors of torch to `OutOfMemory` (this request) and `DeviceLost` (the model)."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemory(str(error).split("\n")[0]) from error
    except torch.AcceleratorError as error:
        raise DeviceLost(str(error).split("\n")[0]) from error


def _slots_that_fit(model: GemForCausalLM, longest: int, place: torch.device) -> int:
    if place.type != "cuda":
        return CPU_SLOTS
    config = model.config
    values = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * longest
    free, _ = torch.cuda.mem_get_info(place)
    fit = (free - KEPT_FREE) // (values * model.lm_head.weight.element_size())
    if fit < 1:
        raise OutOfMemory(
            f"{free / 2**30:.1f} GiB of GPU memory are free, one sequence of {longest} positions and its "
            f"work need {(values * model.lm_head.weight.element_size() + KEPT_FREE) / 2**30:.1f} GiB"
        )
    return min(MOST_SLOTS, int(fit))


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, list):
        return [v.to(device) for v in value]
    return None if value is None else value.to(device)
