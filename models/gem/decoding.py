"""Greedy decoding of GEM in slots with torch: a static key and value cache, on CUDA one captured graph per batch size.

Each slot holds one sequence at its own length, so that requests come and go without padding each other. A step reads
the cache up to a window (a multiple of ``WINDOW``) and masks the positions past the end of each sequence. On CUDA the
step of a batch size and window is captured once as a CUDA graph and replayed, which removes the launch of some thousand
kernels from every token. The cost of a step is then memory traffic: weights once, cache once (benchmarks/gem.md).

Few sequences leave arithmetic unused: up to `DRAFT_BATCH` of them run drafts with their last token
(`models.gem.drafting`). Prompts that wait together are prefilled together, `PREFILL` at most.

Arithmetic is that of LLaMA, on the modules and weights of transformers.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
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
from models.gem.captured_features import WARM_UPS, CapturedFeatures
from models.gem.checkpoint import load_checkpoint
from models.gem.drafting import WIDTH, DraftCounts, Drafter, sources_of, verified
from models.gem.errors import DeviceLost, OutOfMemory
from models.gem.estimates import NOT_READABLE
from models.gem.fused_layer import FusedLayer, rotation
from models.gem.measuring_tower import MeasuringOutput
from models.gem.modeling import GemForCausalLM
from models.gem.page import REFERENCE_SIZE
from models.gem.processing import GemProcessor
from models.gem.request import GemRequest, ModelCard, Prepared
from models.gem.sources import TowerLimits, asked, read_sources

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "fp8": torch.bfloat16}
"""Number formats; of ``fp8`` that of all but the products of the layers."""
LARGE_PARAMETERS = 500_000_000  # from here a step in fp32 reads 2 GB or more: memory traffic is its cost
LONGEST = 2048  # positions of a slot, at most: a page, a question and 1,000 words
MOST_SLOTS = 32
CPU_SLOTS = 4
WINDOW = 256  # the cache is read in steps of this many positions
KEPT_FREE = 3 * 2**30  # bytes of GPU memory left for activations of a prefill and for captured graphs
BATCHES = (1, 2, 4, 8, 16, 32)
DRAFT_BATCH = 4  # with more sequences a step has no arithmetic to spare
DRAFTED = WIDTH + 1  # positions of a step with drafts
PREFILL = 4  # prompts prefilled together on CUDA; on the CPU each alone, there is nothing to gain


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
        Capture steps and towers as CUDA graphs; None: on CUDA.
    drafts : bool
        Run drafts where few sequences are active.
    prefill : int or None
        Prompts prefilled together, at most; None: `PREFILL` on CUDA, else one.
    fp8 : bool
        Products of the layers in 8 bits.
    compiler : str or None
        Backend of `torch.compile` for the parts of each layer; None: they run as they are.

    Attributes
    ----------
    counts : DraftCounts
        How well the drafts were.
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
        drafts: bool = True,
        prefill: int | None = None,
        fp8: bool = False,
        compiler: str | None = None,
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
        self._layers = [FusedLayer(x, self._heads, self._kv_heads, self._head, fp8=fp8) for x in model.model.layers]
        if compiler is not None:
            for layer in self._layers:
                layer.compiled(compiler)
        on_cuda = self.device.type == "cuda"
        self.prefill = prefill or (PREFILL if on_cuda else 1)
        self.counts = DraftCounts()
        self._drafts = drafts
        self._drafters: list[Drafter | None] = [None] * slots
        self._drafted = torch.zeros(slots, DRAFTED, dtype=torch.long, device=self.device)  # last token and its draft
        self._chosen = torch.zeros_like(self._drafted)
        self._features = CapturedFeatures(model.model, graphs=self.graphs and on_cuda)
        self._captured: dict[tuple[int, int, int], Any] = {}
        self.limits = TowerLimits.of({"measuring_config": config.measuring_config, "page_config": config.page_config})

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
        drafts: bool = True,
        compiler: str | None = None,
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
            processor = GemProcessor.load(folder, model.config)
            fp8 = precision == "fp8"
            return cls(model, processor, card, slots=slots, longest=longest, drafts=drafts, fp8=fp8, compiler=compiler)

    def prompt(self, request: GemRequest) -> Prepared:
        """Ids, ECG window and page of a request."""
        config = self.model.config
        sources = None if config.measuring is None else read_sources(request, self)
        if sources is not None and not sources.used.readable:
            return Prepared(None, answer=NOT_READABLE)
        in_words = asked(request, sources, config.evidence_in_prompt)
        inputs = self.processor([request.ecg], [in_words.question], pages=self._pages(request))
        if self._drafts:
            ids = inputs["input_ids"][0].tolist()
            inputs["drafter"] = Drafter(sources_of(self.processor.tokenizer, in_words.likely, ids))
        return Prepared(inputs, "" if sources is None else sources.remark, findings=in_words.findings)

    @torch.inference_mode()
    def measure(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs of the measuring tower for a window [12, 5000] mV, [OUTPUTS]."""
        return self._outputs(self.model.model.measuring_tower(torch.from_numpy(window[None]).to(self.device)))

    @torch.inference_mode()
    def read_page(self, page: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Outputs of the page tower for a small page, [OUTPUTS]."""
        pixels = torch.from_numpy(page[None]).to(self.device, self.dtype) / 255.0
        return self._outputs(self.model.model.page_tower(pixels)[1])

    @staticmethod
    def _outputs(found: MeasuringOutput) -> NDArray[np.float32]:
        out: NDArray[np.float32] = found.logits[0].float().cpu().numpy()
        return out

    def _pages(self, request: GemRequest) -> list[Image.Image] | None:
        """The page that a request brings; None: the processor draws it."""
        if self.model.config.vision is None:
            return None
        if request.blank_page:
            return [Image.new("RGB", REFERENCE_SIZE, "white")]
        return None if request.page is None else [Image.open(request.page)]

    def start(self, slot: int, prompt: dict[str, Any]) -> tuple[int, int]:
        """Prefill a slot with a prompt; returns the first new token and the length of the prompt."""
        return self.start_many([slot], [prompt])[0]

    @torch.inference_mode()
    def start_many(self, slots: Sequence[int], prompts: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
        """Prefill several slots at once; returns for each the first new token and the length of its prompt."""
        with device_errors():
            blocks = self._blocks(prompts)
            embeds = [
                self.model.merge(prompt["input_ids"].to(self.device), blocks=None if block is None else [block])
                for prompt, block in zip(prompts, blocks, strict=True)
            ]
            out = self.start_with(slots, [merged.inputs_embeds for merged in embeds])
        for slot, prompt, (token, _) in zip(slots, prompts, out, strict=True):
            self._drafters[slot] = drafter = prompt.get("drafter")
            if drafter is not None:
                drafter.add([token])
        return out

    def _blocks(self, prompts: Sequence[dict[str, Any]]) -> Sequence[Tensor | None]:
        """Features of ECG and page of each prompt; those of one shape run together."""
        ecgs, pages = (_joined([prompt.get(name) for prompt in prompts], self.device) for name in ("ecgs", "pages"))
        if ecgs is None and pages is None:
            return [None] * len(prompts)
        sizes = [size for prompt in prompts for size in prompt.get("page_sizes") or ()]
        return self._features(ecgs, pages, sizes or None)

    @torch.inference_mode()
    def start_with(self, slots: Sequence[int], embeds: Sequence[Tensor]) -> list[tuple[int, int]]:
        """``start_many`` from the embeddings of prompts, [1, T, hidden] each."""
        lengths = [x.shape[1] for x in embeds]
        for length in lengths:
            if length >= self.longest:
                raise ValueError(f"the prompt has {length} positions, a slot holds {self.longest} with the answer")
        longest = max(lengths)
        x = torch.cat([functional.pad(e, (0, 0, 0, longest - n)) for e, n in zip(embeds, lengths, strict=True)])
        tokens: list[int] = self._prefill(slots, x, lengths).argmax(dim=-1).tolist()
        for slot, token, length in zip(slots, tokens, lengths, strict=True):
            self._tokens[slot], self._lengths[slot] = token, length
            self._host_lengths[slot] = length
            self._drafters[slot] = None
        return list(zip(tokens, lengths, strict=True))

    @torch.inference_mode()
    def step(self, active: int) -> list[list[int]]:
        """The next tokens of the first ``active`` slots: one, and those of a draft that were right."""
        drafts = self._drafts_of(active)
        width = DRAFTED if any(drafts) else 1
        with device_errors():
            batch = next(b for b in (*BATCHES, active) if b >= active) if self.graphs else active
            batch = min(batch, self.slots)
            needed = max(self._host_lengths[:active]) + width
            window = min(-(-needed // WINDOW) * WINDOW, self.longest)
            if batch > active:  # inactive slots of the batch compute at position 0, which nothing reads
                self._lengths[active:batch] = 0
            if width > 1:
                rows = [[*draft, *[0] * (WIDTH - len(draft))] for draft in drafts]
                self._drafted[:active, 1:] = torch.tensor(rows).to(self.device)
            if self.graphs:
                self._replay(batch, window, width)
            else:
                self._decode(batch, window, width)
            tokens = self._verify(drafts) if width > 1 else [[token] for token in self._tokens[:active].tolist()]
        for slot, new in enumerate(tokens):
            self._host_lengths[slot] += len(new)
            drafter = self._drafters[slot]
            if drafter is not None:
                drafter.add(new)
                self.counts.add(len(drafts[slot]), len(new) - 1)
        return tokens

    def _drafts_of(self, active: int) -> list[list[int]]:
        """A draft for each of the first ``active`` slots; all are empty where there is no room or nothing to gain."""
        none: list[list[int]] = [[] for _ in range(active)]
        if active > DRAFT_BATCH or max(self._host_lengths[:active]) + DRAFTED > self.longest:
            return none
        return [drafter.draft() if drafter else [] for drafter in self._drafters[:active]]

    def _verify(self, drafts: Sequence[Sequence[int]]) -> list[list[int]]:
        """Tokens of a step with drafts; the next step begins behind them."""
        chosen: list[list[int]] = self._chosen[: len(drafts)].tolist()
        tokens = [verified(draft, row) for draft, row in zip(drafts, chosen, strict=True)]
        state = torch.tensor([[new[-1], len(new)] for new in tokens]).to(self.device)
        self._tokens[: len(drafts)] = state[:, 0]
        self._lengths[: len(drafts)] += state[:, 1]
        return tokens

    @torch.inference_mode()
    def warm(self, batches: Iterable[int], positions: int) -> None:
        """Capture the steps of these batch sizes for every window up to ``positions``, so that none is captured later.

        Where steps are not captured there is nothing to do. Steps with drafts are captured too.
        """
        if not self.graphs:
            return
        last = min(-(-positions // WINDOW) * WINDOW, self.longest)
        with device_errors():
            for batch in batches:
                for window in dict.fromkeys([*range(WINDOW, last, WINDOW), last]):
                    for width in (1, DRAFTED) if self._drafts and batch <= DRAFT_BATCH else (1,):
                        if (batch, window, width) not in self._captured:
                            self._captured[batch, window, width] = self._capture(batch, window, width)

    def move(self, source: int, target: int) -> None:
        """Copy the sequence of one slot, with its cache, to another slot."""
        length = self._host_lengths[source]
        for cache in (self._keys, self._values):
            cache[:, target, :, :length] = cache[:, source, :, :length]
        self._tokens[target], self._lengths[target] = self._tokens[source].clone(), self._lengths[source].clone()
        self._host_lengths[target] = length
        self._drafters[target] = self._drafters[source]

    def text(self, ids: list[int]) -> str:
        """Text of token ids."""
        return self.processor.tokenizer.decode(ids)

    def _prefill(self, slots: Sequence[int], x: Tensor, lengths: Sequence[int]) -> Tensor:
        """Embeddings x [B, T, hidden], padded on the right → logits [B, vocabulary] behind each; fills the caches.

        Attention is causal: what lies behind the end of a shorter prompt is read by nothing, and overwritten later.
        """
        T, at = x.shape[1], torch.tensor(list(slots), device=self.device)
        cos, sin = self._cos[:T], self._sin[:T]
        for n, layer in enumerate(self._layers):
            q, k, v = layer.attention_inputs(x, cos, sin)  # [B, H, T, D]
            self._keys[n, at, :, :T], self._values[n, at, :, :T] = k, v
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self._grouped)
            x = layer.output(x, y)
        last = x[torch.arange(len(lengths), device=self.device), torch.tensor(lengths, device=self.device) - 1]
        logits: Tensor = self.model.lm_head(self.model.model.norm(last))
        return logits

    def _decode(self, batch: int, window: int, width: int) -> None:
        """One step of the first ``batch`` slots, in place: of their last tokens, and of drafts where ``width`` > 1.

        Without drafts tokens, lengths and caches advance by one position. With drafts the choices of all positions are
        written, and `_verify` advances.
        """
        lengths = self._lengths[:batch]
        self._drafted[:batch, 0] = self._tokens[:batch]
        x = self.model.model.embed_tokens(self._drafted[:batch, :width])  # [B, W, hidden]
        places = (lengths[:, None] + self._at[:width]).clamp(max=self.longest - 1)  # [B, W]
        cos, sin = self._cos[places][:, None], self._sin[places][:, None]  # [B, 1, W, D]
        mask = (self._at[:window] <= places[..., None])[:, None]  # [B, 1, W, window]
        rows = self._at[:batch, None]
        for n, layer in enumerate(self._layers):
            q, k, v = layer.attention_inputs(x, cos, sin)  # [B, H, W, D]
            self._keys[n, rows, :, places] = k.transpose(1, 2)
            self._values[n, rows, :, places] = v.transpose(1, 2)
            y = functional.scaled_dot_product_attention(
                q,
                self._keys[n, :batch, :, :window],
                self._values[n, :batch, :, :window],
                attn_mask=mask,
                enable_gqa=self._grouped,
            )
            x = layer.output(x, y)
        chosen = self.model.lm_head(self.model.model.norm(x)).argmax(dim=-1)  # [B, W]
        if width > 1:
            self._chosen[:batch] = chosen
        else:
            self._tokens[:batch] = chosen[:, 0]
            self._lengths[:batch] += 1

    def _replay(self, batch: int, window: int, width: int) -> None:
        graph = self._captured.get((batch, window, width))
        if graph is None:
            graph = self._captured[batch, window, width] = self._capture(batch, window, width)
        graph.replay()

    def _capture(self, batch: int, window: int, width: int) -> Any:
        """Capture a step. Tokens and lengths are restored; the cache entries of the warm-up runs are overwritten."""
        tokens, lengths = self._tokens.clone(), self._lengths.clone()

        def run() -> None:
            self._tokens.copy_(tokens)
            self._lengths.copy_(lengths)
            self._decode(batch, window, width)

        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                run()
        self._tokens.copy_(tokens)
        self._lengths.copy_(lengths)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._captured.values())).pool() if self._captured else None
        with torch.cuda.graph(graph, pool=pool):
            self._decode(batch, window, width)
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


def _joined(parts: Sequence[Any], device: torch.device) -> Any:
    """ECGs or pages of several prompts as one batch; crops stay a list. None where the prompts have none."""
    if parts[0] is None:
        return None
    if isinstance(parts[0], list):
        return [crops.to(device) for part in parts for crops in part]
    return torch.cat(list(parts)).to(device)
