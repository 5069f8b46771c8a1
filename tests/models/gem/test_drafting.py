"""Drafts change the number of steps and never the answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.evidence import Evidence
from models.gem.drafting import MATCH, DraftCounts, Drafter, sources_of, verified
from models.gem.engine import GemEngine
from models.gem.measuring_session import SHIPPED_GEM
from models.gem.onnx_decoder import OnnxDecoder
from models.gem.prompt_context import build_prompt_context
from models.gem.report_sentences import WORDINGS, Nth, ReportContext, likely_texts, report_sentences
from models.gem.request import GemRequest
from models.gem.special_tokens import IMAGE_TOKEN
from models.training.report_text import synthetic_context
from models.training.simulate import simulate
from tests.models.gem.noise import noise_ecg

EVIDENCE = (Evidence("HR", 88.0, (), 0, 1), Evidence("QRS", 96.0, (), 0, 1))


def answer_of(decoder: OnnxDecoder, request: GemRequest, limit: int = 200) -> tuple[list[int], int]:
    """Ids up to the end, and the steps that they took."""
    token, _ = decoder.start(0, decoder.prompt(request).prompt)
    ids, steps = [token], 0
    while decoder.eos not in ids and len(ids) < limit:
        ids += decoder.step(1)[0]
        steps += 1
    return (ids[: ids.index(decoder.eos)] if decoder.eos in ids else ids[:limit]), steps


def test_the_shipped_gem_answers_alike_in_half_of_the_steps() -> None:
    plain, drafting = (OnnxDecoder.load(SHIPPED_GEM, threads=1, drafts=drafts) for drafts in (False, True))
    for seed in range(4):
        ecg = simulate(np.random.default_rng(seed), rhythm=("sinus", "afib")[seed % 2]).ecg
        context = build_prompt_context(ecg, None)
        request = GemRequest(ecg, measurements=context.measurements, descriptors=context.descriptors)
        (expected, slow), (found, quick) = answer_of(plain, request), answer_of(drafting, request)
        assert found == expected and 2 * quick < slow
    assert drafting.counts.acceptance > 0.4 and drafting.counts.tokens_a_step > 3 and not plain.counts.steps


def test_an_untrained_gem_answers_alike_though_its_drafts_are_wrong(gem_folder: Path) -> None:
    plain, drafting = (OnnxDecoder.load(gem_folder, threads=1, drafts=drafts) for drafts in (False, True))
    for seed in range(3):
        request = GemRequest(noise_ecg(seed), measurements=EVIDENCE, findings=("sinus rhythm",))
        assert answer_of(drafting, request, 60)[0] == answer_of(plain, request, 60)[0]
    assert drafting.counts.drafted > drafting.counts.accepted


def test_a_draft_ends_where_the_slot_does(gem_folder: Path) -> None:
    decoder = OnnxDecoder.load(gem_folder, slots=1, threads=1)
    prompt = decoder.prompt(GemRequest(noise_ecg(1), measurements=EVIDENCE)).prompt
    decoder.longest = prompt.embeds.shape[1] + 4
    _, length = decoder.start(0, prompt)
    given = 1
    while length + given < decoder.longest:
        given += len(decoder.step(1)[0])
    assert decoder._sequences[0].cache["key0"].shape[2] <= decoder.longest


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_a_limit_inside_a_draft_cuts_the_answer_there(gem_folder: Path, limit: int) -> None:
    request = GemRequest(noise_ecg(2), measurements=EVIDENCE, max_new_tokens=limit, deadline_s=60.0)
    texts = []
    for drafts in (True, False):
        engine = GemEngine(OnnxDecoder.load(gem_folder, threads=1, drafts=drafts))
        answer = engine.submit(request).result(60)
        engine.close()
        assert answer.tokens == limit and answer.finish == "length"
        texts.append(answer.text)
    assert texts[0] == texts[1]


def test_the_longest_match_gives_the_draft() -> None:
    drafter = Drafter([[1, 2, 3, 4], [5, 2, 3, 9, 9]], width=2)
    drafter.add([2, 3])
    assert drafter.draft() == [4]
    drafter.add([5, 2, 3])
    assert drafter.draft() == [9, 9]
    drafter.add([77])
    assert drafter.draft() == []
    assert Drafter([list(range(40))], width=3).draft() == [] and MATCH >= 2


@pytest.mark.parametrize(
    ("draft", "chosen", "tokens"), [([3, 4], [3, 4, 5], [3, 4, 5]), ([3, 4], [8, 4, 5], [8]), ([3], [3, 1], [3, 1])]
)
def test_what_the_model_would_not_have_chosen_is_dropped(
    draft: list[int], chosen: list[int], tokens: list[int]
) -> None:
    assert verified(draft, chosen) == tokens


def test_counts_are_shares_of_what_was_drafted() -> None:
    counts = DraftCounts()
    counts.add(8, 6)
    counts.add(2, 1)
    assert counts.acceptance == 0.7 and counts.tokens_a_step == 4.5 and np.isnan(DraftCounts().acceptance)


def test_the_likely_texts_hold_every_wording_of_the_training() -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        context: ReportContext = synthetic_context(rng)
        likely = likely_texts(context.measurements, context.descriptors, context.titles)
        assert len(likely) == WORDINGS
        sentences = {s.text for k in range(WORDINGS) for s in report_sentences(context, Nth(k))}
        assert {s.text for s in report_sentences(context, rng)} <= sentences
        assert all(any(text in whole for whole in likely) for text in sentences)


def test_the_mark_of_the_ecg_is_never_drafted(gem_folder: Path) -> None:
    decoder = OnnxDecoder.load(gem_folder, threads=1)
    ids = [1, 5, IMAGE_TOKEN, 7, 8]
    sources = sources_of(decoder.tokenizer, ["sinus rhythm"], ids)
    assert sources[-1] == [7, 8] and sources[0][-1] == decoder.eos and min(min(s) for s in sources) >= 0
