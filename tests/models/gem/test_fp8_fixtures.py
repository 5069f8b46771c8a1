"""GEM in fp8 against the reference's fixtures: logits within a tolerance, the same token where the margin is larger.

Products of float8 values and their scales are multiplied in float32 here (`models.gem.products`); the kernel of a GPU
(`torch._scaled_mm`) is not run by these tests and was not measured.
"""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from models.gem.checkpoint import load_checkpoint  # noqa: E402
from models.gem.decoding import TorchDecoder  # noqa: E402
from models.gem.processing import GemProcessor  # noqa: E402
from models.gem.request import ModelCard  # noqa: E402

RMS = 0.2  # of an answer's logits, whose standard deviation is 2.0 in these fixtures; 0.13 to 0.18 were seen
LARGEST = 1.0  # of any single logit; 0.92 was seen
MARGIN = 2 * RMS  # between the reference's first and second token
ROUNDING = 0.05  # rms: whole products are nearer than this, so that the test sees fp8 at work


@pytest.mark.parametrize(("fixture", "k"), [("gem_tiny_v1", 0), ("gem_tiny_v2", 0), ("gem_tiny_v2", 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_fp8_gives_the_fixtures_answer(parity_home: Path, fixture: str, k: int, dtype: torch.dtype) -> None:
    """Every step of the reference's greedy answer, each from the reference's own tokens before it.

    ``dtype`` is the number format of all but the products; fp8 is served with bf16.
    """
    folder = parity_home / fixture
    expected = load_file(folder / "outputs.safetensors")
    answer, logits = expected[f"generate.ids.{k}"][0, 1:], expected[f"generate.step_logits.{k}"]
    model = load_checkpoint(folder).to(dtype)
    card = ModelCard(fixture, "", "fp8", "cpu")
    processor = GemProcessor.load(folder, model.config)
    decoder = TorchDecoder(model, processor, card, slots=len(answer), longest=400, fp8=True, drafts=False)
    heads = []
    model.lm_head.register_forward_hook(lambda module, given, out: heads.append(out.detach().float()))
    words = model.model.embed_tokens(answer).detach()[None]
    prompt = expected[f"prompt.inputs_embeds.{k}"].to(dtype)
    started = decoder.start_with(range(len(answer)), [torch.cat([prompt, words[:, :n]], 1) for n in range(len(answer))])

    off = torch.cat(heads) - logits
    assert off.abs().max() < LARGEST and ROUNDING < off.square().mean().sqrt() < RMS
    first, second = logits.topk(2).values.T
    sure = first - second > MARGIN
    assert sure.sum() >= len(answer) // 2
    chosen = torch.tensor([token for token, _ in started])
    assert chosen[sure].tolist() == answer[sure].tolist()
