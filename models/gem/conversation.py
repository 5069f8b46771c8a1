"""Prompt strings: LLaVA's conversation templates, and the question with its prompt context.

GEM is trained and prompted with ``llava_v1``. The template strings equal the reference's (parity fixture ``prompts``).
The prompt context (measured values, descriptors, findings) is this project's own: the published GEM has none.
No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.evidence import Evidence
from models.gem.special_tokens import IMAGE_MARK

GROUNDED_QUESTION = (
    "Interpret the provided ECG image, identify key features and abnormalities in each lead, and "
    "generate a clinical diagnosis that is supported by the observed evidence."
)
"""The question of the ECG-Grounding data (arXiv 2503.06073, figure 3)."""

_CHAT = (
    "A chat between a curious {who} and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the {who}'s questions."
)


@dataclass(frozen=True, slots=True)
class Template:
    """Separators of a conversation's turns.

    Attributes
    ----------
    opening : str
        Before the first turn.
    human, assistant : str
        Before a message of each side.
    after_human, after_assistant : str
        After a message of each side.
    """

    opening: str
    human: str
    assistant: str
    after_human: str
    after_assistant: str

    def prompt(self, turns: Sequence[tuple[str, str | None]]) -> str:
        """String of a conversation of (question, answer); the prompt ends at the first answer that is None."""
        out = self.opening
        for question, answer in turns:
            out += f"{self.human}{question}{self.after_human}"
            if answer is None:
                return out + self.assistant.rstrip(" ")
            out += f"{self.assistant}{answer}{self.after_assistant}"
        return out


def _chatml(system: str, newline: str) -> Template:
    end = f"<|im_end|>{newline}"
    return Template(f"<|im_start|>system\n{system}{end}", "<|im_start|>user\n", "<|im_start|>assistant\n", end, end)


TEMPLATES = {
    "llava_v1": Template(_CHAT.format(who="human") + " ", "USER: ", "ASSISTANT: ", " ", "</s>"),
    "vicuna_v1": Template(_CHAT.format(who="user") + " ", "USER: ", "ASSISTANT: ", " ", "</s>"),
    "plain": Template("", "", "", "\n", "\n"),
    "qwen_2": _chatml("You are a helpful assistant.", "\n"),
    "mpt": _chatml(
        "A conversation between a user and an LLM-based AI assistant. The assistant gives helpful and honest answers.",
        "",
    ),
    "chatml_direct": _chatml("Answer the questions.", ""),
    "llava_llama_2": Template(
        "[INST] <<SYS>>\nYou are a helpful language and vision assistant. You are able to "
        "understand the visual content that the user provides, and assist the user with a "
        "variety of tasks using natural language.\n<</SYS>>\n\n",
        "",
        " ",
        " [/INST]",
        " </s>",
    ),
}


def gem_prompt(question: str = GROUNDED_QUESTION, *, template: str = "llava_v1", mark: bool = True) -> str:
    """Prompt of one question; ``<image>``, the place of ECG and page, is put in front unless the question has it."""
    if mark and IMAGE_MARK not in question:
        question = f"{IMAGE_MARK}\n{question}"
    return TEMPLATES[template].prompt([(question, None)])


def question_with_context(
    question: str, evidence: Sequence[Evidence], descriptors: Sequence[str] = (), findings: Sequence[str] | None = None
) -> str:
    r"""Question followed by the prompt context, as the compact GEM was trained (``GemConfig.evidence_in_prompt``).

    Parameters
    ----------
    question : str
    evidence : sequence of Evidence
        Measured values; without any, the question is returned as it is.
    descriptors : sequence of str
        Descriptors of the measurements ("P waves", "normal rate").
    findings : sequence of str or None
        Findings of the encoder's heads. Empty: the heads found nothing; None: no heads were run.

    Examples
    --------
    >>> question_with_context("What is the rhythm?", [Evidence("HR", 71.6, ("II",), 0, 5000)])
    'What is the rhythm?\nMeasured: HR 72 bpm in II.'
    >>> question_with_context("What is it?", [Evidence("HR", 71.6, (), 0, 5000)], ("P waves",), ("sinus rhythm",))
    'What is it?\nMeasured: HR 72 bpm; P waves.\nFound: sinus rhythm.'
    """
    if not evidence:
        return question
    out = f"{question}\nMeasured: {'; '.join([*(_value_text(e) for e in evidence), *descriptors])}."
    return out if findings is None else f"{out}\nFound: {'; '.join(findings) or 'nothing'}."


def question_with_alarm(question: str, title: str, evidence: Sequence[Evidence]) -> str:
    r"""Question followed by the alarm on the segment: its title and the values that it rests on.

    Examples
    --------
    >>> question_with_alarm("What is the rhythm?", "Tachycardia", [Evidence("HR", 131.2, ("II",), 0, 5000)])
    'What is the rhythm?\nAlarm: Tachycardia; HR 131 bpm in II.'
    """
    return f"{question}\nAlarm: {'; '.join([title, *(_value_text(e) for e in evidence)])}."


def _value_text(e: Evidence) -> str:
    """One value with its unit; the lead is named where the value belongs to one lead."""
    name = f"{e.wave} wave" if e.wave else e.measure
    digits = ".2f" if e.unit in ("s", "mV", "") else ".0f"
    return f"{name} {e.value:{digits}} {e.unit}".rstrip() + (f" in {e.leads[0]}" if len(e.leads) == 1 else "")
