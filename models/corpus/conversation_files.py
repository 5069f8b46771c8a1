"""Conversation files: ECG-Grounding, ECG-Bench, LLaVA-style JSON and JSON Lines, as one kind of record.

In: a path. Out: `Conversation` with its turns, the paths of its ECG and image as the file gives them, the report and
the machine measurements where there are any. The published files differ (GEM's repository, PULSE's ECGBench):

* the id is ``id``, ``No``, ``question_id`` or missing (then the position in the file);
* turns are ``conversations`` [{from, value}], or ``question``/``text``/``prompt`` with ``answer``/``label``;
* a question may be a list of strings or of characters (ECG-QA); it is joined;
* an answer may be a list of labels; it is joined with commas.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_IDS = ("id", "No", "question_id", "sample_id")
_QUESTIONS = ("question", "text", "prompt")
_ANSWERS = ("answer", "label", "golden", "ground_truth")
_HUMAN, _MODEL = ("human", "user"), ("gpt", "assistant", "model")


class ConversationFileError(ValueError):
    """A file, or one of its entries, is no conversation; the message names file and entry."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One entry of a conversation file.

    Attributes
    ----------
    id : str
    turns : tuple of (question, answer)
        The last answer is None where the file has none.
    ecg, image : str or None
        Paths as the file gives them, without the root folder.
    report : str
        Reference report, where the file has one.
    measurements : mapping
        Lead to feature to its values as strings (``machine_measurements`` of ECG-Grounding).
    """

    id: str
    turns: tuple[tuple[str, str | None], ...]
    ecg: str | None = None
    image: str | None = None
    report: str = ""
    measurements: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """First question."""
        return self.turns[0][0]

    @property
    def answer(self) -> str | None:
        """First answer."""
        return self.turns[0][1]


def read_conversations(path: Path) -> list[Conversation]:
    """All entries of a ``.json`` (one list) or ``.jsonl`` file.

    Raises
    ------
    ConversationFileError
        It is no such file, or an entry holds no question; ids that stand twice.
    """
    entries = list(_entries(path))
    out = [_conversation(entry, f"{path.name} entry {k}", str(k)) for k, entry in enumerate(entries)]
    if not out:
        raise ConversationFileError(f"{path.name}: no entries")
    seen: dict[str, int] = {}
    for k, conversation in enumerate(out):
        if conversation.id in seen:
            first = seen[conversation.id]
            raise ConversationFileError(f"{path.name}: id {conversation.id!r} stands twice (entries {first} and {k})")
        seen[conversation.id] = k
    return out


def _entries(path: Path) -> Iterator[Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            yield from (json.loads(line) for line in text.splitlines() if line.strip())
            return
        document = json.loads(text)
    except OSError as error:
        raise ConversationFileError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConversationFileError(f"{path.name}: not JSON ({error})") from error
    if isinstance(document, Mapping):
        lists = [value for value in document.values() if isinstance(value, list)]
        if len(lists) != 1:
            raise ConversationFileError(f"{path.name}: an object without one list of entries")
        document = lists[0]
    if not isinstance(document, list):
        raise ConversationFileError(f"{path.name}: a list of entries is needed, not {type(document).__name__}")
    yield from document


def _conversation(entry: Any, where: str, position: str) -> Conversation:
    if not isinstance(entry, Mapping):
        raise ConversationFileError(f"{where}: an object is needed, not {type(entry).__name__}")
    name = next((str(entry[key]) for key in _IDS if entry.get(key) is not None), position)
    measurements = entry.get("machine_measurements")
    return Conversation(
        id=name,
        turns=_turns(entry, where),
        ecg=_path(entry.get("ecg")),
        image=_path(entry.get("image")),
        report=_joined(entry.get("report"), "; ") or "",
        measurements=measurements if isinstance(measurements, Mapping) else {},
    )


def _turns(entry: Mapping[str, Any], where: str) -> tuple[tuple[str, str | None], ...]:
    messages = entry.get("conversations") or entry.get("messages")
    if messages is None:
        question = next((q for key in _QUESTIONS if (q := _joined(entry.get(key), " "))), None)
        if question is None:
            raise ConversationFileError(f"{where}: neither conversations nor a question")
        answer = next((a for key in _ANSWERS if (a := _joined(entry.get(key), ", ")) is not None), None)
        return ((question, answer),)
    turns: list[tuple[str, str | None]] = []
    for message in messages:
        side = str(message.get("from", message.get("role", ""))).lower()
        text = _joined(message.get("value", message.get("content")), " ") or ""
        if side in _HUMAN:
            turns.append((text, None))
        elif side in _MODEL and turns and turns[-1][1] is None:
            turns[-1] = (turns[-1][0], text)
        elif side != "system":
            raise ConversationFileError(f"{where}: a message of {side or 'nobody'!r} out of turn")
    if not turns or not turns[0][0].strip():
        raise ConversationFileError(f"{where}: no question")
    return tuple(turns)


def _joined(value: Any, separator: str) -> str | None:
    """A string; a list of characters is joined without separator, a list of strings with it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        parts = [str(part) for part in value]
        return ("" if len(parts) > 1 and all(len(part) == 1 for part in parts) else separator).join(parts)
    return str(value)


def _path(value: Any) -> str | None:
    return str(value) if isinstance(value, str) and value.strip() else None
