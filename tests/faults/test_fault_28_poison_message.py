"""Fault 28: a message that cannot be read. It is set aside with the reason, whole, and the stream goes on."""

from __future__ import annotations

from tests.conftest import MonitoredSite
from tests.faults.broken_messages import dead_letters_after, fresh_bed
from tests.streams.test_wire import REFUSALS, message


def test_what_cannot_be_read_is_set_aside_and_the_stream_goes_on(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site)
    poison = [b"\xff" * 30, b"", b"{}", None, bytes(range(256))]
    letters = dead_letters_after(monitored_site, [(bed, value) for value in poison])
    assert [record.value for record, _ in letters] == poison
    for record, headers in letters:
        assert record.key == bed.encode()
        assert headers["partition"] == "0"
        assert f"{monitored_site.topics.windows}/0 offset {headers['offset']}" in headers["reason"]
        assert headers["time"].endswith("Z")


def test_each_broken_rule_is_named_in_the_dead_letter(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site)
    broken = [(changes, field) for changes, field, _ in REFUSALS if "bed_stream" not in changes]
    letters = dead_letters_after(monitored_site, [(bed, message(bed_stream=bed, **changes)) for changes, _ in broken])
    assert len(letters) == len(broken)
    for (record, headers), (changes, field) in zip(letters, broken, strict=True):
        assert field in headers["reason"], headers["reason"]
        assert record.value == message(bed_stream=bed, **changes)


def test_a_window_under_the_wrong_key_is_told_what_is_wrong(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site)
    ((_, headers),) = dead_letters_after(monitored_site, [(bed, message(bed_stream="icu-9/other"))])
    assert f"'icu-9/other' is not the message key '{bed}'" in headers["reason"]
