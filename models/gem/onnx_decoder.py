"""Greedy decoding of a compact GEM with ONNX Runtime, for the run-time without torch.

It reads the tokens of an ECG tower, and with a measuring and a page tower the estimates of signal and page; CLIP needs
torch.

The checkpoint folder is the one of the torch decoder (``config.json``, ``model.safetensors``, ``tokenizer.model``). The
ONNX graph of the language model is built from its tensors at load time, a second or two at the compact size. Each slot
holds one sequence with its keys and values; steps run one sequence after another, which suits a CPU and a few segments
per minute. Answers equal those of the torch decoder token for token (tested in float32).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from models.encoder.configuration import TowerConfig
from models.encoder.export import tower_graph
from models.encoder.graph import GraphBuilder, serialized
from models.encoder.tower_checkpoint import GEM_TOWER
from models.encoder.weights_digest import checked_digest
from models.gem.conversation import gem_prompt
from models.gem.drafting import DraftCounts, Drafter, sources_of, verified
from models.gem.ecg_window import ecg_window
from models.gem.estimates import NOT_READABLE
from models.gem.measuring_session import MeasuringSession
from models.gem.page_session import PageSession
from models.gem.request import GemRequest, ModelCard, Prepared
from models.gem.sources import TowerLimits, asked, read_sources
from models.gem.special_tokens import IMAGE_TOKEN
from models.gem.tokenizer import GemTokenizer
from models.networks.loading import open_session

Floats = NDArray[np.float32]
State = Mapping[str, Floats]

SLOTS = 4
LONGEST = 2048
LARGEST_BYTES = 800 << 20  # a larger graph exceeds one Protobuf message, and a CPU would be too slow


@dataclass(frozen=True, slots=True)
class LlamaSizes:
    """The fields of ``config.json`` that the graph needs."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    eps: float
    theta: float
    longest: int

    @property
    def head(self) -> int:
        """Width of one attention head."""
        return self.hidden // self.heads

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Sizes from a ``config.json``."""
        rope = document.get("rope_parameters") or {}
        heads = int(document["num_attention_heads"])
        longest = min(int(document["max_position_embeddings"]), document.get("tokenizer_model_max_length", LONGEST))
        return cls(
            int(document["hidden_size"]),
            int(document["num_hidden_layers"]),
            heads,
            int(document.get("num_key_value_heads") or heads),
            float(document["rms_norm_eps"]),
            float(rope.get("rope_theta", document.get("rope_theta", 10000.0))),
            min(longest, LONGEST),
        )


def llama_graph(state: State, sizes: LlamaSizes) -> bytes:
    """ONNX graph of LLaMA for one sequence, for prefill and step.

    Inputs: ``embeds`` [1, T, hidden]; ``length`` int32 [1], positions in all less one; ``total`` int32, positions in
    all; ``first`` int64 [1], from which of the T positions a next token is wanted; ``key<n>``, ``value<n>`` [1,
    kv_heads, past, head]. Outputs: ``tokens`` int64 [T - first], the greedy next ones; keys and values with the new
    positions, ``new_key<n>`` and ``new_value<n>``.
    """
    from onnx import TensorProto, helper

    build = GraphBuilder(np.float32)
    half = np.arange(0, sizes.head, 2) / sizes.head
    angles = np.outer(np.arange(sizes.longest), sizes.theta**-half)
    cos, sin = build.const(np.cos(angles)), build.const(np.sin(angles))

    def norm(x: str, name: str) -> str:
        return build.node("SimplifiedLayerNormalization", [x, build.const(state[name])], axis=-1, epsilon=sizes.eps)

    def product(x: str, *names: str) -> str:
        return build.node("MatMul", [x, build.const(np.concatenate([state[name] for name in names]).T)])

    x = "embeds"
    for n in range(sizes.layers):
        layer = f"model.layers.{n}"
        attention = [f"{layer}.self_attn.{part}_proj.weight" for part in "qkv"]
        qkv = product(norm(x, f"{layer}.input_layernorm.weight"), *attention)
        y = build.nodes_out(
            "GroupQueryAttention",
            [qkv, "", "", f"key{n}", f"value{n}", "length", "total", cos, sin],
            [f"y{n}", f"new_key{n}", f"new_value{n}"],
            domain="com.microsoft",
            do_rotary=1,
            num_heads=sizes.heads,
            kv_num_heads=sizes.kv_heads,
        )
        x = build.node("Add", [x, product(y, f"{layer}.self_attn.o_proj.weight")])
        normal = norm(x, f"{layer}.post_attention_layernorm.weight")
        gate = product(normal, f"{layer}.mlp.gate_proj.weight")
        gate = build.node("Mul", [gate, build.node("Sigmoid", [gate])])
        inner = build.node("Mul", [gate, product(normal, f"{layer}.mlp.up_proj.weight")])
        x = build.node("Add", [x, product(inner, f"{layer}.mlp.down_proj.weight")])
    wanted = build.node("Slice", [x, "first", build.ints([2**31]), build.ints([1])])
    logits = product(norm(wanted, "model.norm.weight"), "lm_head.weight")
    build.node("ArgMax", [build.node("Squeeze", [logits, build.ints([0])])], output="tokens", axis=-1, keepdims=0)

    value = helper.make_tensor_value_info
    past = [1, sizes.kv_heads, "past", sizes.head]
    total = [1, sizes.kv_heads, "all", sizes.head]
    inputs = [
        value("embeds", TensorProto.FLOAT, [1, "T", sizes.hidden]),
        value("length", TensorProto.INT32, [1]),
        value("total", TensorProto.INT32, []),
        value("first", TensorProto.INT64, [1]),
    ]
    outputs = [value("tokens", TensorProto.INT64, ["wanted"])]
    for n in range(sizes.layers):
        inputs += [value(f"{kind}{n}", TensorProto.FLOAT, past) for kind in ("key", "value")]
        outputs += [value(f"new_{kind}{n}", TensorProto.FLOAT, total) for kind in ("key", "value")]
    return serialized(helper.make_graph(build.nodes, "llama", inputs, outputs, build.constants))


@dataclass(frozen=True, eq=False)
class OnnxPrompt:
    """A prompt for `OnnxDecoder.start`.

    Attributes
    ----------
    embeds : float32 [1, T, hidden]
    drafter : Drafter or None
        Drafts of its answer; None: none are made.
    """

    embeds: Floats
    drafter: Drafter | None = None


@dataclass(slots=True)
class _Sequence:
    """What a slot holds: keys and values of all positions but the last token's, that token, and drafts."""

    cache: dict[str, Floats]
    token: int = 0
    drafter: Drafter | None = None


class OnnxDecoder:
    """Decoder of ``GemEngine`` without torch.

    Attributes
    ----------
    slots, longest, eos, card
        As of ``models.gem.engine.Decoder``.
    counts : DraftCounts
        How well the drafts were.
    """

    prefill = 1

    def __init__(
        self,
        state: State,
        document: Mapping[str, Any],
        tokenizer: GemTokenizer,
        card: ModelCard,
        *,
        slots: int = SLOTS,
        longest: int | None = None,
        threads: int | None = None,
        drafts: bool = True,
    ) -> None:
        self.sizes = LlamaSizes.of(document)
        self.slots, self.longest = slots, min(longest or LONGEST, self.sizes.longest)
        self.card, self.tokenizer, self.eos = card, tokenizer, tokenizer.eos
        self._context_in_prompt = bool(document.get("evidence_in_prompt", False))
        self._embeds = state["model.embed_tokens.weight"]
        self._projectors = {name: array for name, array in state.items() if "_projector." in name}
        tower = TowerConfig(**document["tower_config"])
        self._samples = tower.samples
        self._tower = open_session(tower_graph(_own(state, GEM_TOWER), tower), threads=threads)
        self.limits = TowerLimits.of(document)
        measures = bool(document.get("measuring_config"))
        self._measuring = MeasuringSession(state, card.weights, threads) if measures else None
        self._pages = PageSession(state, threads) if self.limits.reads_pages else None
        self._llama = open_session(llama_graph(state, self.sizes), threads=threads)
        none = np.zeros((1, self.sizes.kv_heads, 0, self.sizes.head), np.float32)
        self._past = [f"{kind}{n}" for n in range(self.sizes.layers) for kind in ("key", "value")]
        self._empty = dict.fromkeys(self._past, none)
        self._drafts, self.counts = drafts, DraftCounts()
        self._sequences = [_Sequence(self._empty) for _ in range(slots)]

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        slots: int | None = None,
        longest: int | None = None,
        threads: int | None = None,
        drafts: bool = True,
    ) -> Self:
        """From a checkpoint folder; ValueError where it is no GEM of a compact size, or has a vision tower."""
        from safetensors.numpy import load

        reason = unsupported_reason(folder)
        if reason:
            raise ValueError(reason)
        digest = checked_digest(folder)
        content = (folder / "model.safetensors").read_bytes()
        state = {name: np.asarray(array, np.float32) for name, array in load(content).items()}
        document = json.loads((folder / "config.json").read_text())
        card = ModelCard(folder.name, digest, "fp32", "cpu", bool(document.get("trained", True)))
        return cls(
            state,
            document,
            GemTokenizer(folder / "tokenizer.model"),
            card,
            slots=slots or SLOTS,
            longest=longest,
            threads=threads,
            drafts=drafts,
        )

    def prompt(self, request: GemRequest) -> Prepared:
        """Embeddings of a prompt with its ECG, [1, T, hidden]; without evidence it has the tower's estimates."""
        sources = read_sources(request, self) if self._measuring else None
        if sources is not None and not sources.used.readable:
            return Prepared(None, answer=NOT_READABLE)
        in_words = asked(request, sources, self._context_in_prompt)
        window = ecg_window(request.ecg, samples=self._samples)[None]
        (tokens,) = self._tower.run(["tokens"], {"ecg": window})
        features = self._project("mm_projector", self._project("ecg_projector", tokens[0]))
        ids = np.array(self.tokenizer.encode_prompt(gem_prompt(in_words.question)))
        place = int(np.flatnonzero(ids == IMAGE_TOKEN)[0])
        parts = [self._embeds[ids[:place]], features, self._embeds[ids[place + 1 :]]]
        embeds = np.concatenate(parts)[None].astype(np.float32)
        drafter = None
        if self._drafts:
            drafter = Drafter(sources_of(self.tokenizer, in_words.likely, ids.tolist()))
        remark = "" if sources is None else sources.remark
        return Prepared(OnnxPrompt(embeds, drafter), remark, findings=in_words.findings)

    def measure(self, window: Floats) -> Floats:
        """Outputs of the measuring tower for a window [12, 5000] mV, [OUTPUTS]."""
        assert self._measuring is not None
        out: Floats = self._measuring.logits(window[None])[0]
        return out

    def read_page(self, page: NDArray[np.uint8]) -> Floats:
        """Outputs of the page tower for a small page, [OUTPUTS]."""
        assert self._pages is not None
        return self._pages.logits(page)

    def start(self, slot: int, prompt: OnnxPrompt) -> tuple[int, int]:
        """Prefill a slot; returns the first token and the length of the prompt."""
        length = prompt.embeds.shape[1]
        if length >= self.longest:
            raise ValueError(f"the prompt has {length} positions, a slot holds {self.longest} with the answer")
        sequence = self._sequences[slot] = _Sequence(self._empty, drafter=prompt.drafter)
        tokens, sequence.cache = self._run(prompt.embeds, self._empty, first=length - 1)
        self._follow(sequence, tokens)
        return tokens[-1], length

    def start_many(self, slots: Sequence[int], prompts: Sequence[OnnxPrompt]) -> list[tuple[int, int]]:
        """Prefill several slots, one after another."""
        return [self.start(slot, prompt) for slot, prompt in zip(slots, prompts, strict=True)]

    def step(self, active: int) -> list[list[int]]:
        """The next tokens of the slots 0 … active - 1: one, and those of a draft that were right."""
        return [self._advance(sequence) for sequence in self._sequences[:active]]

    def _advance(self, sequence: _Sequence) -> list[int]:
        draft = sequence.drafter.draft() if sequence.drafter else []
        past = sequence.cache[self._past[0]].shape[2]
        draft = draft[: max(0, self.longest - past - 1)]
        chosen, grown = self._run(self._embeds[[sequence.token, *draft]][None], sequence.cache, first=0)
        tokens = verified(draft, chosen)
        if len(tokens) <= len(draft):  # the keys and values of what was wrong
            grown = {name: array[:, :, : past + len(tokens)] for name, array in grown.items()}
        if sequence.drafter:
            self.counts.add(len(draft), len(tokens) - 1)
        sequence.cache = grown
        self._follow(sequence, tokens)
        return tokens

    def _follow(self, sequence: _Sequence, tokens: list[int]) -> None:
        sequence.token = tokens[-1]
        if sequence.drafter:
            sequence.drafter.add(tokens)

    def move(self, source: int, target: int) -> None:
        """Give the sequence of one slot, with its cache, to another slot."""
        self._sequences[target] = self._sequences[source]

    def text(self, ids: list[int]) -> str:
        """Text of token ids."""
        return self.tokenizer.decode(ids)

    def _run(self, embeds: Floats, cache: dict[str, Floats], first: int) -> tuple[list[int], dict[str, Floats]]:
        """Next tokens of the positions from ``first`` on, and the keys and values with the new positions."""
        total = cache[self._past[0]].shape[2] + embeds.shape[1]
        tokens, *grown = self._llama.run(
            ["tokens", *(f"new_{name}" for name in self._past)],
            {
                "embeds": embeds,
                "length": np.array([total - 1], np.int32),
                "total": np.array(total, np.int32),
                "first": np.array([first], np.int64),
                **cache,
            },
        )
        return tokens.tolist(), dict(zip(self._past, grown, strict=True))

    def _project(self, name: str, x: Floats) -> Floats:
        """Linear, or two linear layers with exact GELU between them, as the tensors' names say."""
        w = self._projectors
        if f"model.{name}.weight" in w:
            return x @ w[f"model.{name}.weight"].T + w[f"model.{name}.bias"]
        h = x @ w[f"model.{name}.0.weight"].T + w[f"model.{name}.0.bias"]
        h = h * 0.5 * (1.0 + erf(h / np.sqrt(2.0)))
        out: Floats = (h @ w[f"model.{name}.2.weight"].T + w[f"model.{name}.2.bias"]).astype(np.float32)
        return out


def _own(state: State, prefix: str) -> dict[str, Floats]:
    """Tensors of one part, under its own names."""
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


def unsupported_reason(folder: Path) -> str:
    """Reason why this run-time does not support the GEM of a folder; empty where it does."""
    path, weights = folder / "config.json", folder / "model.safetensors"
    if not path.is_file() or not weights.is_file():
        return f"{folder} holds no config.json with one model.safetensors"
    document = json.loads(path.read_text())
    if document.get("vision_config") or not document.get("tower_config"):
        return "without torch only a GEM without a vision tower can be run, from a folder that this project wrote"
    if weights.stat().st_size > LARGEST_BYTES:
        found = weights.stat().st_size >> 20
        return f"without torch a GEM of at most {LARGEST_BYTES >> 20} MiB can be run, this one has {found}"
    return ""
