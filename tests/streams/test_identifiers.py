"""Pseudonyms and bed streams: codes pass, names and dates do not, and no rejected value is repeated anywhere."""

from __future__ import annotations

import re
import secrets

import pytest
from pydantic import ValidationError

from streams.alert import InterpretationMessage
from streams.bed import Action, Bed
from streams.document import wrong_fields
from streams.identifiers import PATIENT_PATTERN, is_bed_stream
from streams.wire import RejectedMessage, decode_window, encode_window
from streams.wire import ecg_window_pb2 as pb
from tests.streams.test_wire import window


@pytest.mark.parametrize(
    "pseudonym",
    ["p-81f3", "p-9999", "p-0001", "p-c1ea", "pat-1950", "abcdefgh-0123456789", "mitbih-100a", "p-deadbeef", "p-2024ab",
     "study-k7x2m9", "p-" + "0f" * 20, "icu-100023", "p-20241332"],
)  # fmt: skip
def test_codes_are_pseudonyms(pseudonym: str) -> None:
    assert re.fullmatch(PATIENT_PATTERN, pseudonym)


@pytest.mark.parametrize(
    "name",
    ["smith-john1970", "smith-john", "p-smith", "p-19700131", "p-31011970", "p-01311970", "smith-john19700131",
     "p-19700131smith", "smith-1970john", "smith-john700131", "p-meier310170", "John Smith", "Smith-1970", "p-1",
     "smith", "p-" + "1" * 41],
)  # fmt: skip
def test_names_and_dates_are_none(name: str) -> None:
    assert not re.fullmatch(PATIENT_PATTERN, name)


def test_random_tokens_are_pseudonyms() -> None:
    """A rejected pseudonym leaves a bed without monitoring: hexadecimal tokens of 8 digits and more always pass."""
    tokens = [f"p-{secrets.token_hex(4 + k % 16)}" for k in range(20_000)]
    rejected = [token for token in tokens if not re.fullmatch(PATIENT_PATTERN, token)]
    assert len(rejected) <= 4  # eight digits that happen to be a day: 1 of 40,000 tokens of 8, none of longer ones


@pytest.mark.parametrize(
    ("name", "good"),
    [("icu-3/07", True), ("ICU_North/Bed.12", True), ("run-1764279000/3", True), ("a" * 64, True), ("_system", True),
     ("John_Smith_1970-01-01", False), ("smith-19700101", False), ("b/01.02.1970", False), ("", False), ("ä", False),
     ("icu 3", False), ("a" * 65, False)],
)  # fmt: skip
def test_bed_streams_hold_no_date(name: str, good: bool) -> None:
    assert is_bed_stream(name) is good


@pytest.mark.parametrize(
    "change",
    [
        {"patient": "John Smith 1970"},
        {"bed_stream": "John_Smith_1970-01-31"},
        {"unit": "Smith, John 31.01.1970"},
        {"bed": "Smith\nJohn"},
        {"sex": "Smith John"},
        {"leads": ["John Smith" * 8, "II"]},
        {"leads": ["John Smith", "John Smith"]},
        {"leads_off": ["John Smith"]},
    ],
)
def test_the_reason_of_a_rejected_window_repeats_no_value(change: dict[str, object]) -> None:
    message = pb.EcgWindow.FromString(encode_window(window()))
    for name, value in change.items():
        if isinstance(value, list):
            del getattr(message, name)[:]
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
    key = str(change.get("bed_stream", "icu-3/07")).encode()
    with pytest.raises(RejectedMessage) as rejected:
        decode_window(message.SerializeToString(), topic="ecg.windows", partition=0, offset=1, key=key)
    assert "Smith" not in rejected.value.reason
    assert "1970" not in rejected.value.reason
    assert rejected.value.field_name in change


def test_a_key_or_bytes_that_are_a_name_are_not_repeated() -> None:
    for value, key in ((encode_window(window()), b"John Smith"), (b"John Smith", b"icu-3/07")):
        with pytest.raises(RejectedMessage) as rejected:
            decode_window(value, topic="ecg.windows", partition=0, offset=1, key=key, n_partitions=8)
        assert "Smith" not in rejected.value.reason
        assert b"John".hex() not in rejected.value.reason


@pytest.mark.parametrize("document", [Action, Bed, InterpretationMessage])
def test_the_reason_of_a_rejected_document_repeats_no_value(document: type[Action]) -> None:
    with pytest.raises(ValidationError) as error:
        document.from_json(b'{"bed_stream": ["John Smith"], "by": 5, "limits": {"John Smith": 1}, "at": "John Smith"}')
    assert "Smith" not in wrong_fields(error.value)
    assert "bed_stream" in wrong_fields(error.value)
