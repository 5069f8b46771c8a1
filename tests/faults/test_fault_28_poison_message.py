"""Fault 28: a message that cannot be read. It is set aside with the reason, whole, and the stream goes on."""

from __future__ import annotations

from kafka import KafkaProducer

from tests.conftest import MonitoredSite
from tests.faults.broken_messages import dead_letters_after, fresh_bed, good_window
from tests.streams.test_telemetry import all_records
from tests.streams.test_wire import REJECTED_MESSAGES, message


def test_what_cannot_be_read_is_set_aside_and_the_stream_goes_on(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site)
    poison = [b"\xff" * 30, b"", b"{}", None, bytes(range(256))]
    letters = dead_letters_after(monitored_site, [(bed, value) for value in poison])
    assert [record.value for record, _ in letters] == poison  # null stays null
    for record, headers in letters:
        assert record.key == bed.encode()
        assert headers["partition"] == "0"
        assert f"{monitored_site.topics.windows}/0 offset {headers['offset']}" in headers["reason"]
        assert headers["time"].endswith("Z")


def test_each_broken_rule_is_named_in_the_dead_letter(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site)
    broken = [(changes, field) for changes, field, _ in REJECTED_MESSAGES if "bed_stream" not in changes]
    letters = dead_letters_after(monitored_site, [(bed, message(bed_stream=bed, **changes)) for changes, _ in broken])
    assert len(letters) == len(broken)
    for (record, headers), (changes, field) in zip(letters, broken, strict=True):
        assert field in headers["reason"], headers["reason"]
        assert record.value == message(bed_stream=bed, **changes)


def test_a_window_under_the_wrong_key_is_told_what_is_wrong(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site)
    ((_, headers),) = dead_letters_after(monitored_site, [(bed, message(bed_stream="icu-9/other"))])
    assert f"'icu-9/other' is not the message key '{bed}'" in headers["reason"]


def test_a_window_on_the_wrong_partition_is_told_which_partitioner_to_use(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site, partition=1)
    site = monitored_site
    client = KafkaProducer(bootstrap_servers=site.broker.address)  # as a client with a partitioner of its own
    wrong = client.send(site.topics.windows, key=bed.encode(), value=good_window(bed), partition=0).get(timeout=10)
    client.close()
    dead_letters_after(site, [])  # the monitor has gone past it
    letters = all_records(site.broker.address, site.topics.dead_letter, site.topics.partitions)
    (headers,) = [dict(r.headers) for r in letters if dict(r.headers)["offset"] == str(wrong.offset).encode()]
    assert b"belongs on partition 1 of 2, not 0" in headers["reason"]
    assert b"partitioner=murmur2_random" in headers["reason"]


def test_a_rejected_name_is_in_the_bytes_of_the_dead_letter_and_nowhere_else(monitored_site: MonitoredSite) -> None:
    bed = fresh_bed(monitored_site)
    value = message(bed_stream=bed, patient="smith-john1970")
    ((record, headers),) = dead_letters_after(monitored_site, [(bed, value)])
    assert record.value == value and b"smith-john1970" in value
    assert headers["reason"].startswith("patient (14 characters, not repeated) is no pseudonym")
    assert "smith" not in str(headers)
    assert "smith" not in monitored_site.monitor.log.read_text(errors="replace")
