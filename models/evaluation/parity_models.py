"""Parity of the models themselves: ECG tower, the whole of ECG-CoCa, GEM, and the names of a checkpoint's tensors."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from models.encoder.coca import Coca
from models.encoder.configuration import TowerConfig
from models.encoder.tower import EcgTower
from models.evaluation.comparison import PIXELS, Comparison
from models.evaluation.fixture_weights import fixture_state
from models.gem.checkpoint import compare_layout, complete_config, layout, load_checkpoint
from models.gem.conversation import gem_prompt
from models.gem.ecg_window import fixed_length
from models.gem.modeling import GemForCausalLM
from models.gem.processing import GemProcessor

SMALL = 10_000_000  # parameters below which several threads only wait for each other
BEAM_TOKENS = 16  # new tokens of the fixtures' beam searches, where they did not end before


@torch.no_grad()
def compare_tower(folder: Path, to: Comparison) -> None:
    """An ECG tower whose weights follow from a rule, at the size of its table."""
    table = json.loads((folder / "weights_table.json").read_text())
    state, digests = {}, []
    for name, array, ok in fixture_state(table):
        state[name] = torch.from_numpy(array)
        digests.append(ok)
    to.same("weights", digests, [True] * len(digests))
    config = TowerConfig.from_open_clip({"embed_dim": table["embed_dim"], "ecg_cfg": table["config"]})
    with torch.device("meta"):
        tower = EcgTower(config)
    tower.load_state_dict(state, assign=True)
    io = load_file(folder / "io.safetensors")
    inner = _record_inner(tower.eval())
    out = tower(io["ecg"])
    ours = {
        "tokens_last_layer": out.tokens,
        "tokens_ln_post": out.normed[:, 1:],
        "pooled_proj": out.pooled,
        "latent_normalised": torch.nn.functional.normalize(out.pooled, dim=-1),
    }
    for key, theirs in io.items():
        if key.startswith("inter."):
            _, layer, which = key.split(".")
            at = [int(k) for k in which.partition("tokens_")[2].split("_")]
            to.near(key, inner[layer][0, at], theirs)
        elif key in ours:
            to.near(key, ours[key], theirs)


@torch.no_grad()
def compare_coca(folder: Path, to: Comparison) -> None:
    """ECG-CoCa with text tower, caption decoder, losses and zero-shot scores."""
    io = load_file(folder / "io.safetensors")
    coca = Coca.load(folder)
    out = coca(io["ecg"], io["text"])
    ours: dict[str, Any] = {
        "ecg_features": out.ecg_features,
        "text_features": out.text_features,
        "ecg_token_embs": out.ecg_tokens,
        "text_token_embs": out.text_states,
        "logits": out.logits,
        "labels": out.labels,
        "contrastive_loss": out.contrastive_loss[None],
        "caption_loss": out.caption_loss[None],
        "logit_scale": coca.logit_scale.exp()[None],
    }
    if "zero_shot_class_ids" in io:
        ids = io["zero_shot_class_ids"]
        ours["zero_shot_class_embedding_T"] = coca.text(ids).features.T
        ours["zero_shot_sigmoid"] = coca.zero_shot(out.ecg_features, ids)
    for key, theirs in io.items():
        if key in ours:
            to.near(key, ours[key], theirs)


@torch.no_grad()
def compare_gem(folder: Path, to: Comparison) -> None:
    """GEM from raw records, pages and questions to greedy answers."""
    model = load_checkpoint(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if sum(p.numel() for p in model.parameters()) < SMALL else threads)
    try:
        _compare_model(folder, to, model)
    finally:
        torch.set_num_threads(threads)


def _compare_model(folder: Path, to: Comparison, model: GemForCausalLM) -> None:
    processor = GemProcessor.load(folder, model.config)
    inputs, outputs = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    samples = sorted(int(key.rpartition(".")[2]) for key in inputs if key.startswith("prompt.input_ids."))
    sizes = [(0, 0)] * len(samples)
    if (folder / "dataset.json").is_file():
        sizes = _compare_processing(folder, to, processor, inputs)
    views = [inputs[f"images.{k}"] for k in samples] if f"images.{samples[0]}" in inputs else []
    pages: Any = None if not views else torch.stack(views) if views[0].ndim == 3 else views
    _compare_features(to, model, inputs["ecgs"], views, outputs)
    if "train.input_ids" in inputs:
        _compare_training(to, model, inputs, outputs, pages, sizes)
    for n, k in enumerate(samples):
        part: dict[str, Any] = {
            "ecgs": inputs["ecgs"][n : n + 1],
            "page_sizes": sizes[n : n + 1],
            "pages": None if pages is None else pages[n : n + 1],
        }
        _compare_prompt(to, model, processor, inputs[f"prompt.input_ids.{k}"], part, outputs, k)
    if "batch_left.input_ids" in inputs:
        merged = model.merge(
            inputs["batch_left.input_ids"],
            ecgs=inputs["ecgs"],
            pages=pages,
            page_sizes=sizes,
            attention_mask=inputs["batch_left.attention_mask"],
            padding_side="left",
        )
        to.same(
            "batch_left.attention_mask",
            merged.attention_mask.flatten().tolist(),
            outputs["batch_left.attention_mask"].flatten().tolist(),
        )
        to.near("batch_left.inputs_embeds", merged.inputs_embeds, outputs["batch_left.inputs_embeds"])
        theirs = outputs["batch_left.generate_ids"]
        ours = model.generate(
            inputs["batch_left.input_ids"],
            attention_mask=inputs["batch_left.attention_mask"],
            ecgs=inputs["ecgs"],
            pages=pages,
            page_sizes=sizes,
            do_sample=False,
            max_new_tokens=theirs.shape[1] - 1,
        )
        to.same("batch_left.generate_ids", ours.flatten().tolist(), theirs[:, 1:].flatten().tolist())


def compare_layout_names(folder: Path, to: Comparison) -> None:
    """Every name and shape of a checkpoint, against the model on the meta device: no memory is taken."""
    document = json.loads((folder / "keys.json").read_text())
    shapes = {name: tuple(shape) for name, shape in document["tensors"].items()}
    config = complete_config({}, shapes)
    report = compare_layout(shapes, config)
    to.same("names", [*report.missing, *report.unexpected], [])
    to.same("shapes", list(report.misshapen), [])
    to.same("n_tensors", [report.expected], [document.get("n_tensors", len(shapes))])
    if "n_params" in document:
        to.same("n_params", [sum(prod(shape) for shape in layout(config).values())], [document["n_params"]])


def _compare_processing(
    folder: Path, to: Comparison, processor: GemProcessor, inputs: dict[str, Tensor]
) -> list[tuple[int, int]]:
    """Records, pages, prompts and labels from the data set's own files; returns the pages' sizes."""
    import wfdb

    sizes = []
    for k, sample in enumerate(json.loads((folder / "dataset.json").read_text())):
        physical = wfdb.rdsamp(str(folder / "records" / sample["ecg"]))[0]
        to.near(f"ecgs.{k}", fixed_length(physical.T), inputs["ecgs"][k], 0.0)
        page = Image.open(folder / "images" / sample["image"])
        sizes.append(page.size)
        to.near(f"images.{k}", processor.pages(page), inputs[f"images.{k}"], PIXELS)
        messages = [turn["value"] for turn in sample["conversations"]]
        to.same(
            f"prompt.input_ids.{k}",
            processor.tokenizer.encode_prompt(gem_prompt(messages[0], mark=False)),
            inputs[f"prompt.input_ids.{k}"][0].tolist(),
        )
        if "train.input_ids" in inputs:
            ids, labels = processor.training_example(list(zip(messages[::2], messages[1::2], strict=True)), mark=False)
            kept = inputs["train.attention_mask"][k].bool()
            to.same(f"train.input_ids.{k}", ids, inputs["train.input_ids"][k][kept].tolist())
            to.same(f"train.labels.{k}", labels, inputs["train.labels"][k][kept].tolist())
    return sizes


def _compare_features(
    to: Comparison, model: GemForCausalLM, ecgs: Tensor, views: list[Tensor], outputs: dict[str, Tensor]
) -> None:
    tokens = model.model.ecg_tower(ecgs)
    to.near("ecg_tower.features", tokens, outputs["ecg_tower.features"])
    to.near("ecg_projector.out", model.model.ecg_projector(tokens), outputs["ecg_projector.out"])
    to.near("ecg_final", model.model.ecg_features(ecgs), outputs["ecg_final"])
    for k, view in enumerate(views):
        features = model.model.vision_tower(view if view.ndim == 4 else view[None])
        to.near(f"vision_tower.features.{k}", features, outputs[f"vision_tower.features.{k}"])
        to.near(f"mm_projector.image.{k}", model.model.mm_projector(features), outputs[f"mm_projector.image.{k}"])


def _compare_training(
    to: Comparison,
    model: GemForCausalLM,
    inputs: dict[str, Tensor],
    outputs: dict[str, Tensor],
    pages: Any,
    sizes: list[tuple[int, int]],
) -> None:
    mask, labels = inputs["train.attention_mask"], inputs["train.labels"]
    merged = model.merge(
        inputs["train.input_ids"],
        attention_mask=mask,
        labels=labels,
        ecgs=inputs["ecgs"],
        pages=pages,
        page_sizes=sizes,
    )
    to.near("train.inputs_embeds", merged.inputs_embeds, outputs["train.inputs_embeds"])
    real = outputs["train.attention_mask"].bool()
    to.same("train.attention_mask", merged.attention_mask.flatten().tolist(), real.flatten().tolist())
    assert merged.labels is not None
    to.same("train.labels", merged.labels.flatten().tolist(), outputs["train.labels"].flatten().tolist())
    out = model(
        input_ids=inputs["train.input_ids"],
        attention_mask=mask,
        labels=labels,
        ecgs=inputs["ecgs"],
        pages=pages,
        page_sizes=sizes,
    )
    to.near("train.logits", out.logits[real], outputs["train.logits"][real])  # padded positions mean nothing
    to.near("train.loss", out.loss[None], outputs["train.loss"])


def _compare_prompt(
    to: Comparison,
    model: GemForCausalLM,
    processor: GemProcessor,
    ids: Tensor,
    part: dict[str, Any],
    outputs: dict[str, Tensor],
    k: int,
) -> None:
    out = model(input_ids=ids, **part)
    to.near(f"prompt.inputs_embeds.{k}", out.inputs_embeds, outputs[f"prompt.inputs_embeds.{k}"])
    to.near(f"prompt.logits.{k}", out.logits, outputs[f"prompt.logits.{k}"])
    # transformers 4.37.2 put a leading <s> before what it generated from embeddings; it is no new token.
    theirs = outputs[f"generate.ids.{k}"][0, 1:].tolist()
    steps = outputs[f"generate.step_logits.{k}"]
    made = model.generate(
        ids, do_sample=False, max_new_tokens=len(steps), output_logits=True, return_dict_in_generate=True, **part
    )
    to.same(f"generate.ids.{k}", made.sequences[0].tolist(), theirs)
    to.near(f"generate.step_logits.{k}", torch.cat(made.logits), steps)
    meta = to.folder / "meta.json"
    if meta.is_file():
        text = json.loads(meta.read_text())["samples"][k]["generated_text"]
        to.same(f"generated_text.{k}", processor.tokenizer.decode(theirs), text)
    for key in outputs:
        if key.startswith("generate.beam") and key.endswith(f"_ids.{k}"):
            beams = int(key.removeprefix("generate.beam").partition("_")[0])
            best = outputs[key][0, 1:].tolist()
            longest = max(BEAM_TOKENS, len(best))
            ours = model.generate(ids, do_sample=False, num_beams=beams, max_new_tokens=longest, **part)
            to.same(key, ours[0].tolist(), best)


def _record_inner(tower: EcgTower) -> dict[str, Tensor]:
    """Filled with what each norm and block gives, when the tower is run."""
    features: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Tensor) -> None:
            features[name] = output

        return hook

    tower.ln_pre.register_forward_hook(keep("ln_pre"))
    for n, block in enumerate(tower.transformer.resblocks):
        block.register_forward_hook(keep(f"block{n}"))
    return features
