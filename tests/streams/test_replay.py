"""Replay: device time runs with the signal, gateway time is now, and every sample arrives once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from models.ecg import Ecg
from models.records import read_record
from streams.replay import cuts, replay
from streams.telemetry import TelemetryProducer
from streams.topics import Topics, ensure_topics
from streams.wire import EcgWindow, decode_window
from tests.conftest import Broker
from tests.streams.test_telemetry import all_records

START_NS = 1_795_000_000_000_000_000
S = 1_000_000_000


class TestClock:
    """A clock that stands still but for sleeping."""

    __test__ = False

    def __init__(self) -> None:
        self.now = START_NS

    def now_ns(self) -> int:
        return self.now

    def sleep_until(self, at_ns: int) -> None:
        self.now = max(self.now, at_ns)


def replayed(broker: Broker, prefix: str, ecg: Ecg, **options: float) -> list[EcgWindow]:
    topics = Topics(prefix, partitions=1)
    ensure_topics(broker.address, topics)
    with TelemetryProducer(broker.address, topics) as producer:
        place = {"bed_stream": "icu-3/07", "unit": "icu-3", "bed": "07"}
        sent = replay(ecg, producer, **place, clock=TestClock(), **options)  # type: ignore[arg-type]
    records = all_records(broker.address, topics.windows, 1)
    assert len(records) == sent
    return [
        decode_window(r.value, topic=r.topic, partition=0, offset=r.offset, key=r.key, n_partitions=1) for r in records
    ]


def ramp(seconds: float, fs_hz: float = 250.0) -> Ecg:
    n = round(seconds * fs_hz)
    return Ecg(("II", "V1"), fs_hz, np.linspace(-1, 1, 2 * n, dtype=np.float32).reshape(2, n))


def test_a_recording_arrives_sample_for_sample_in_real_time(kafka: Broker, topic_prefix: str) -> None:
    ecg = ramp(5.1)
    windows = replayed(kafka, topic_prefix, ecg)
    assert [w.sequence for w in windows] == [0, 1, 2, 3, 4]
    assert [w.n_samples for w in windows] == [
        250,
        250,
        250,
        250,
        275,
    ]  # 0.1 s would be no message: it goes with the last
    assert {w.epoch for w in windows} == {START_NS // 1_000_000}
    assert [w.device_time_ns - START_NS for w in windows] == [0, S, 2 * S, 3 * S, 4 * S]
    assert [w.gateway_time_ns - START_NS for w in windows] == [S, 2 * S, 3 * S, 4 * S, round(5.1 * S)]
    signal = np.concatenate([w.to_ecg().mv for w in windows], axis=1)
    np.testing.assert_allclose(signal, ecg.mv, atol=0.5e-3)


def test_ten_times_faster_device_time_still_runs_with_the_signal(tansu: Broker, topic_prefix: str) -> None:
    windows = replayed(tansu, topic_prefix, ramp(4.0), speed=10.0, message_s=2.0)
    assert [w.device_time_ns - START_NS for w in windows] == [0, 2 * S]
    assert [w.gateway_time_ns - START_NS for w in windows] == [S // 5, 2 * S // 5]


def test_a_csv_record_is_replayed(tansu: Broker, topic_prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "bed.csv"
    path.write_text("II,V\n" + "".join(f"{k / 1000:.3f},{-k / 1000:.3f}\n" for k in range(500)))
    windows = replayed(tansu, topic_prefix, read_record(path, 250.0), speed=float("inf"))
    assert [w.leads for w in windows] == [("II", "V"), ("II", "V")]
    assert windows[1].to_ecg().lead("V")[-1] == pytest.approx(-0.499, abs=1e-3)


@pytest.mark.data
def test_a_wfdb_record_is_replayed(tansu: Broker, topic_prefix: str, data_home: Path) -> None:
    header = next(iter(sorted(data_home.rglob("*.hea"))), None)
    if header is None:
        pytest.skip("GEM_BEDSIDE_TEST_DATA: no WFDB record in it")
    ecg = read_record(header.with_suffix("")).slice(0, 2500)
    windows = replayed(tansu, topic_prefix, ecg, speed=float("inf"))
    assert sum(w.n_samples for w in windows) == ecg.n_samples
    assert windows[0].leads == ecg.leads


@pytest.mark.parametrize(("speed", "message_s"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.1), (1.0, 11.0)])
def test_impossible_speeds_and_messages_are_refused(speed: float, message_s: float) -> None:
    with pytest.raises(ValueError, match="is not"):
        replay(ramp(1), None, bed_stream="a", unit="u", bed="b", speed=speed, message_s=message_s)  # type: ignore[arg-type]


@pytest.mark.parametrize("fs_hz", [50.0, 125.0, 257.0, 360.0, 999.9])
@pytest.mark.parametrize("message_s", [0.2, 1.0, 9.9, 10.0])
@pytest.mark.parametrize("seconds", [0.2, 0.35, 10.1, 61.37])
def test_messages_cover_the_record_and_keep_their_length(fs_hz: float, message_s: float, seconds: float) -> None:
    n = round(seconds * fs_hz)
    pieces = list(cuts(n, fs_hz, message_s))
    assert all(a[1] == b[0] for a, b in pairwise(pieces))
    assert all(0.2 * fs_hz - 1 < stop - start < 10 * fs_hz + 1 for start, stop in pieces)
    assert pieces == [] or (pieces[0][0] == 0 and n - pieces[-1][1] < 0.2 * fs_hz)
