"""Every decoder, on bytes that nobody meant to send: it gives a document, or raises what its readers expect.

The bytes are random, or a valid message with bits turned, parts cut out, doubled or replaced. `EXAMPLES` examples a
decoder run in `make test`; ``GEM_BEDSIDE_TEST_FUZZ=N`` runs N.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from agents.clock import SystemClock
from agents.monitor.attempts import Attempts
from agents.monitor.restore import BedDocuments
from agents.settings import Settings
from agents.worker.beacons import Beacons
from agents.worker.bounded_batches import BoundedRecords, bound_batches
from agents.worker.commit_metadata import Committed
from agents.worker.sender import Incoming
from streams.alert import Alert, InterpretationMessage
from streams.beacon import Beacon
from streams.bed import Action, Bed, Vitals
from streams.wire import RejectedMessage, decode_flagged, decode_window, encode_window
from tests.agents.worker.raw_batches import CODECS, batch, compressed, record
from tests.streams.documents import acknowledge, alert, bed, vitals
from tests.streams.test_wire import window

EXAMPLES = int(os.environ.get("GEM_BEDSIDE_TEST_FUZZ", "120"))
SECONDS = 2.0  # of one example; work is bounded before it begins
PLACE: dict[str, Any] = {"topic": "ecg.windows", "partition": 0, "offset": 7}
MESSAGE = Incoming("ecg.beds", 0, 7, 0, b"icu-3/07", b"")


@dataclass(frozen=True)
class Decoder:
    """A decoder, a message that it takes, and what it may raise."""

    decode: Callable[[bytes], object]
    valid: bytes
    raises: tuple[type[Exception], ...]


def _records(data: bytes) -> None:
    """As aiokafka's fetcher walks through a response."""
    bound_batches()
    records = BoundedRecords(data)
    while records.has_next():
        assert len(list(records.next_batch())) <= 4


def _beacon(value: bytes) -> None:
    settings = Settings()
    Beacons(settings, SystemClock(), None, "ecg.main-monitor", lambda sent: None)._take(value, 0)


async def _metadata(value: bytes) -> str:
    """Take a partition over whose commit has this metadata; the metadata that is recorded for it."""
    text, attempts = value.decode(errors="replace"), Attempts()
    await attempts.take({("ecg.windows", 0): Committed(0, text, 10)})
    return attempts.metadata("ecg.windows", 0)


def _window(value: bytes) -> object:
    return decode_window(value, key=b"icu-3/07", n_partitions=8, **PLACE)


def _bed_documents(value: bytes) -> object:
    documents = BedDocuments()
    documents.take(replace(MESSAGE, value=value))
    return documents.beds()


def _batch_of(codec: str) -> Callable[[bytes], object]:
    return lambda value: _records(batch(codec, value, 3))


RECORDS = [record(k, b"icu-3/07", b"x" * 50) for k in range(3)]
DECODERS = {
    "window": Decoder(_window, encode_window(window()), (RejectedMessage,)),
    "flagged segment": Decoder(lambda v: decode_flagged(v, **PLACE), encode_window(window()), (RejectedMessage,)),
    "action": Decoder(Action.from_json, acknowledge().to_json(), (ValueError,)),
    "alert": Decoder(Alert.from_json, alert(3).to_json(), (ValueError,)),
    "bed": Decoder(Bed.from_json, bed(alerts=[alert(2)]).to_json(), (ValueError,)),
    "vitals": Decoder(Vitals.from_json, vitals().to_json(), (ValueError,)),
    "interpretation": Decoder(InterpretationMessage.from_json, b'{"schema":1,"id":"a","alert_id":"b"}', (ValueError,)),
    "beacon": Decoder(Beacon.from_json, Beacon(group="g", member="m").to_json(), (ValueError,)),
    "bed documents at a restore": Decoder(_bed_documents, bed().to_json(), ()),
    "beacon of a peer": Decoder(_beacon, Beacon(group="ecg.main-monitor", member="m").to_json(), ()),
} | {f"batch, {codec}": Decoder(_batch_of(codec), compressed(codec, iter(RECORDS)), ()) for codec in CODECS}

Edit = tuple[str, int, int, bytes]
edits = st.lists(
    st.tuples(
        st.sampled_from(["turn", "cut", "double", "insert"]),
        st.integers(0, 2**16),
        st.integers(1, 64),
        st.binary(max_size=12),
    ),
    min_size=1,
    max_size=6,
)


def edited(valid: bytes, changes: list[Edit]) -> bytes:
    """A valid message with changes."""
    data = bytearray(valid)
    for kind, where, length, inserted in changes:
        at = where % (len(data) + 1)
        if kind == "turn" and at < len(data):
            data[at] ^= 1 << (length % 8)
        elif kind == "cut":
            del data[at : at + length]
        elif kind == "double":
            data[at:at] = data[at : at + length]
        else:
            data[at:at] = inserted
    return bytes(data)


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_gives_a_document_or_raises_what_its_readers_expect(name: str) -> None:
    decoder = DECODERS[name]

    @hypothesis.settings(max_examples=EXAMPLES, database=None, derandomize=EXAMPLES <= 1000)
    @hypothesis.given(st.one_of(st.binary(max_size=400), edits.map(lambda changes: edited(decoder.valid, changes))))
    def holds(value: bytes) -> None:
        began = time.process_time()
        with contextlib.suppress(*decoder.raises):
            decoder.decode(value)
        assert time.process_time() - began < SECONDS

    holds()


async def test_metadata_of_a_commit_that_nobody_wrote_is_none() -> None:
    for value in (b"\xff", b"{}", b"[1]", b'{"begun": "x"}', b'{"rejected": [null]}', b'{"begun": {"a": 1}}'):
        assert json.loads(await _metadata(value)) == {"held": True}, value
