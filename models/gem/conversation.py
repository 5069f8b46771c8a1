"""Prompt templates of LLaVA's conversations; GEM is trained and asked with ``llava_v1``.

Strings as the reference builds them (parity fixture ``prompts``). Standard library alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """How the turns of a dialogue are strung together.

    Attributes
    ----------
    opening : str
        What comes before the first turn.
    human, assistant : str
        What comes before a message of each side.
    after_human, after_assistant : str
        What comes after one.
    """

    opening: str
    human: str
    assistant: str
    after_human: str
    after_assistant: str

    def prompt(self, turns: Sequence[tuple[str, str | None]]) -> str:
        """The string of a dialogue of (question, answer); an answer of None is the one that is asked for."""
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
    """The prompt of one question, with the mark of ECG and page in front of it unless it has one."""
    if mark and IMAGE_MARK not in question:
        question = f"{IMAGE_MARK}\n{question}"
    return TEMPLATES[template].prompt([(question, None)])
