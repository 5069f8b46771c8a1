"""Fault 30: a producer that is newer than the workers. New fields are kept and ignored; a new schema is set aside."""

from __future__ import annotations

from streams.wire import decode_window, encode_window
from tests.conftest import MonitoredSite
from tests.faults.broken_messages import dead_letters_after, fresh_bed, good_window
from tests.streams.test_wire import message

NEW_FIELD = b"\x9a\x06\x0bspo2 = 97 %"  # field 99, a string


def test_a_newer_schema_goes_to_the_dead_letters_with_that_reason(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site)
    newer = message(schema=2, bed_stream=bed) + NEW_FIELD
    ((record, headers),) = dead_letters_after(monitored_site, [(bed, newer)])
    assert record.value == newer
    assert "schema 2 is newer than 1" in headers["reason"]
    assert "update the workers before the producers" in headers["reason"]


def test_new_fields_of_the_same_schema_are_kept_and_ignored(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site)
    value = good_window(bed) + NEW_FIELD
    assert dead_letters_after(monitored_site, [(bed, value)]) == []
    assert encode_window(decode_window(value, topic="ecg.windows", partition=0, offset=0)) == value
