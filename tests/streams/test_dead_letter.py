"""Dead letters hold the bytes as they came and say why; they fit wherever the message fitted."""

from __future__ import annotations

from streams.dead_letter import DEAD_LETTER_LIMIT, dead_letter
from streams.telemetry import message_size
from streams.topics import MESSAGE_LIMIT

PLACE = {
    "reason": "sampling_rate 0.0 …",
    "topic": "ecg.windows",
    "partition": 3,
    "offset": 1291,
    "time_ns": 1_795_000_000_000_000_000,
}


def test_the_bytes_and_the_reason_are_kept() -> None:
    letter = dead_letter(b"icu-3/07", b"\x00\xff", **PLACE)  # type: ignore[arg-type]
    assert (letter.key, letter.value) == (b"icu-3/07", b"\x00\xff")
    assert dict(letter.headers) == {
        "reason": "sampling_rate 0.0 …".encode(),
        "topic": b"ecg.windows",
        "partition": b"3",
        "offset": b"1291",
        "time": b"2026-11-18T11:06:40.000000Z",
    }


def test_null_stays_null() -> None:
    letter = dead_letter(None, None, **PLACE)  # type: ignore[arg-type]
    assert (letter.key, letter.value) == (None, None)


def test_the_largest_message_of_a_topic_fits_whole() -> None:
    value = bytes(MESSAGE_LIMIT)
    letter = dead_letter(b"icu-3/07", value, **(PLACE | {"reason": "x" * 5000}))  # type: ignore[arg-type]
    assert letter.value == value
    assert "truncated" not in dict(letter.headers)
    assert message_size(letter.key, letter.value, letter.headers) <= DEAD_LETTER_LIMIT


def test_what_would_not_fit_is_cut_and_says_how_long_it_was() -> None:
    value = bytes(range(256)) * 8000
    letter = dead_letter(b"k" * 5000, value, **PLACE)  # type: ignore[arg-type]
    assert dict(letter.headers)["truncated"] == b"2048000"
    assert letter.value and value.startswith(letter.value)
    assert message_size(letter.key, letter.value, letter.headers) == DEAD_LETTER_LIMIT


def test_a_reason_is_cut_between_characters() -> None:
    letter = dead_letter(b"a", b"", **(PLACE | {"reason": "µ" * 5000}))  # type: ignore[arg-type]
    assert set(dict(letter.headers)["reason"].decode()) == {"µ"}
