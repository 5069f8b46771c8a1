"""What GEM is given: lead order and rate are mended, the parity switch does not mend them, prompts and labels fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.ecg import Ecg
from models.evidence import Evidence
from models.gem.anyres import PINPOINTS, best_resolution, crop_grid, unpadded
from models.gem.checkpoint import load_checkpoint
from models.gem.conversation import TEMPLATES, gem_prompt, question_with_context
from models.gem.ecg_window import ecg_window, fixed_length
from models.gem.initialization import compact_config, random_gem
from models.gem.merge import IGNORED
from models.gem.processing import GemProcessor, PagePreprocessor
from models.gem.tokenizer import GemTokenizer
from models.leads import STANDARD_12
from tests.models.gem.noise import noise_ecg


@pytest.fixture(scope="module")
def tokenizer(gem_folder: Path) -> GemTokenizer:
    return GemTokenizer(gem_folder / "tokenizer.model")


def test_leads_are_put_in_order_by_name() -> None:
    ecg = noise_ecg(1)
    swapped = ecg.select([*STANDARD_12[:4], "aVF", "aVL", *STANDARD_12[6:]])  # the order of some archives
    assert np.array_equal(ecg_window(swapped), ecg_window(ecg))
    assert not np.array_equal(ecg_window(swapped, parity=True), ecg_window(ecg))


def test_any_rate_becomes_500_hz_and_parity_does_not_resample() -> None:
    seconds = np.arange(4000) / 400
    ecg = Ecg(STANDARD_12, 400.0, np.tile(np.sin(2 * np.pi * 1.2 * seconds), (12, 1)).astype(np.float32))
    expected = np.sin(2 * np.pi * 1.2 * np.arange(5000) / 500)
    assert np.abs(ecg_window(ecg)[1, 100:-100] - expected[100:-100]).max() < 0.01
    assert np.array_equal(ecg_window(ecg, parity=True)[:, :4000], ecg.mv)
    assert not ecg_window(ecg, parity=True)[:, 4000:].any()


def test_missing_samples_are_zero_and_long_records_keep_their_first_ten_seconds() -> None:
    mv = np.ones((12, 6000))
    mv[3, 10], mv[4, 11], mv[5, 12] = np.nan, np.inf, -np.inf
    window = fixed_length(mv)
    assert window.shape == (12, 5000) and window.dtype == np.float32
    assert window[3, 10] == window[4, 11] == window[5, 12] == 0 and window.sum() == 12 * 5000 - 3


def test_eleven_leads_cannot_be_given_to_the_reference() -> None:
    with pytest.raises(ValueError, match="the ECG has 11 leads, the tower takes 12"):
        ecg_window(noise_ecg(1).select(STANDARD_12[:11]), parity=True)


def test_text_comes_back_from_its_ids(tokenizer: GemTokenizer) -> None:
    for text in ("Sinus rhythm at 71 bpm.", "QRS 92 ms, µV unknown", " leading blank", "two\nlines"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_mark_stands_between_chunks_and_the_start_token_comes_once(tokenizer: GemTokenizer) -> None:
    ids = tokenizer.encode_prompt(gem_prompt("What is the rhythm?"))
    assert ids.count(-200) == 1 and ids.count(tokenizer.bos) == 1 and ids[0] == tokenizer.bos


def test_the_loss_is_taken_on_answers_and_their_ends_only(tokenizer: GemTokenizer) -> None:
    processor = GemProcessor(compact_config(tokenizer.vocabulary), tokenizer, PagePreprocessor())
    ids, labels = processor.training_example([("What is the rhythm?", "sinus rhythm"), ("The rate?", "71 bpm")])
    taken = [i for i, label in zip(ids, labels, strict=True) if label != IGNORED]
    assert taken.count(tokenizer.eos) == 2
    assert tokenizer.decode(taken) == "sinus rhythm 71 bpm"


def test_a_dialogue_is_strung_together_as_the_template_says() -> None:
    prompt = TEMPLATES["llava_v1"].prompt([("A?", "B."), ("C?", None)])
    assert prompt.endswith(" USER: A? ASSISTANT: B.</s>USER: C? ASSISTANT:")


def test_measured_values_are_stated_behind_the_question() -> None:
    asked = question_with_context(
        "Rhythm?", [Evidence("HR", 71.6, ("II",), 0, 5000), Evidence("RR", 0.838, (), 0, 419)]
    )
    assert asked == "Rhythm?\nMeasured: HR 72 bpm in II; RR 0.84 s."


def test_the_centre_crop_loses_the_sides_and_the_square_pad_keeps_them() -> None:
    page = Image.new("RGB", (400, 200), "white")
    page.paste("black", (0, 0, 20, 200))  # a bar at the left edge
    assert PagePreprocessor(aspect="ori")(page).min() > 1.5
    assert PagePreprocessor(aspect="pad")(page).min() < -1.0


def test_a_wide_page_is_cut_into_crops_after_the_whole() -> None:
    views = PagePreprocessor(aspect="anyres")(Image.new("RGB", (2200, 1700)))
    assert views.shape == (5, 3, 336, 336)
    assert best_resolution((2200, 1700), PINPOINTS) == (672, 672) and crop_grid((1000, 100), PINPOINTS, 336) == (3, 1)
    rows, columns = unpadded((2200, 1700), 48, 48)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (38, 48)


def test_a_batch_of_prompts_is_padded_on_the_left_and_says_what_each_says_alone(gem_folder: Path) -> None:
    model = load_checkpoint(gem_folder)
    processor = GemProcessor.load(gem_folder, model.config)
    ecgs, questions = [noise_ecg(1), noise_ecg(2)], ["Rhythm?", "Is there ST elevation in lead V2 and in lead V1?"]
    batch = processor(ecgs, questions)
    assert batch["input_ids"].shape == batch["attention_mask"].shape and not batch["attention_mask"][0, 0]
    together = model.generate(**batch, max_new_tokens=12, do_sample=False)
    for k in range(2):
        alone = model.generate(**processor(ecgs[k : k + 1], questions[k : k + 1]), max_new_tokens=12, do_sample=False)
        assert torch.equal(together[k][: alone.shape[1]], alone[0])


CLIP = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
}


def test_a_page_alone_an_ecg_alone_and_both_can_be_asked_about() -> None:
    model = random_gem(compact_config(64, hidden=32, layers=1, heads=2, vision=CLIP), seed=2)
    ids = torch.tensor([[1, 5, -200, 7]])
    ecgs, pages = torch.randn(1, 12, 5000), torch.randn(1, 3, 56, 56)
    lengths = [
        model.merge(ids, ecgs=e, pages=p).inputs_embeds.shape[1]
        for e, p in ((ecgs, None), (None, pages), (ecgs, pages), (None, None))
    ]
    assert lengths == [3 + 101, 3 + 16, 3 + 117, 3]


def test_too_few_feature_blocks_are_reported_with_both_counts() -> None:
    model = random_gem(compact_config(64, hidden=32, layers=1, heads=2), seed=2)
    with pytest.raises(ValueError, match=r"take 2 feature blocks \(1 rows\), but 1 were given"):
        model.merge(torch.tensor([[1, -200, 5, -200]]), ecgs=torch.zeros(1, 12, 5000))


def test_one_page_an_ecg_is_expected() -> None:
    model = random_gem(compact_config(64, hidden=32, layers=1, heads=2, vision=CLIP), seed=2)
    with pytest.raises(ValueError, match="1 ECGs, but 2 pages"):
        model.merge(torch.tensor([[1, -200]]), ecgs=torch.zeros(1, 12, 5000), pages=torch.zeros(2, 3, 56, 56))


def test_a_detached_lead_is_zero_for_the_tower() -> None:
    ecg = replace(noise_ecg(3), leads_off=("V4",))
    assert not ecg_window(ecg)[9].any() and ecg_window(ecg)[8].any()
