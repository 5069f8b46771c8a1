"""Reads the messages of a partition: windows, and the JSON documents of people and of the interpreter.

Input: a message as it came from Kafka. Output: an `EcgWindow`, an `Action` or an `InterpretationMessage`; for any other
message `RejectedMessage` with the reason, whatever reading it raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agents.settings import Settings
from agents.worker.sender import Incoming
from streams.alert import InterpretationMessage
from streams.bed import Action
from streams.document import wrong_fields
from streams.identifiers import displayed_bed_stream, displayed_key
from streams.partition import partition_of
from streams.wire import EcgWindow, RejectedMessage, decode_window

D = TypeVar("D", Action, InterpretationMessage)


class MessageReader:
    """Reads messages by the settings of the site."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def window(self, message: Incoming) -> EcgWindow:
        """The window of a message."""
        if message.batch_error:
            raise RejectedMessage(f"{message.batch_error} ({message.place})")
        try:
            return decode_window(
                message.value,
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
                key=message.key,
                n_partitions=self._settings.partitions,
                patient_pattern=self._settings.patient_pattern,
            )
        except RejectedMessage:
            raise
        except Exception as error:
            raise RejectedMessage(f"no window: {type(error).__name__} ({message.place})") from error

    def action(self, message: Incoming) -> Action:
        """The action of a message."""
        return self._document(message, Action.from_json, "action")

    def interpretation(self, message: Incoming) -> InterpretationMessage:
        """The interpretation of a message."""
        return self._document(message, InterpretationMessage.from_json, "interpretation")

    def _document(self, message: Incoming, parse: Callable[[bytes], D], name: str) -> D:
        try:
            if message.batch_error:
                raise ValueError(message.batch_error)
            document = parse(message.value or b"")
            self._check_key(message, document.bed_stream)
        except Exception as error:
            raise RejectedMessage(f"no {name}: {wrong_fields(error)} ({message.place})") from error
        return document

    def _check_key(self, message: Incoming, bed_stream: str) -> None:
        name = displayed_bed_stream(bed_stream)
        if (message.key or b"").decode(errors="replace") != bed_stream:
            raise ValueError(f"bed_stream {name} is not the message key {displayed_key(message.key)}")
        right = partition_of(bed_stream.encode(), self._settings.partitions)
        if message.partition != right:
            raise ValueError(f"bed_stream {name} belongs on partition {right}, not {message.partition}")


def no_bed(bed_stream: str, message: Incoming, hint: str = "") -> str:
    """The reason of a document to a bed that is not there."""
    more = f": {hint}" if hint else ""
    return f"bed_stream {displayed_bed_stream(bed_stream)} is no bed here{more} ({message.place})"
