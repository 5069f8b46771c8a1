"""The ward's telemetry: one thread sends the messages of all beds in real time, as a gateway would.

The device time is the wall clock: the loop's first sample is dated at the start, and a message is sent after its last
sample. The beds are spread over the second, as real monitors are.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from deploy.ward import ScriptedEpisode, WardBed
from models.ecg import Ecg
from streams.telemetry import TelemetryProducer
from streams.window import window_of_ecg

S = 1_000_000_000
LSB_UV = 2.5  # microvolts per unit, as of patient monitors
_NAP_S = 0.05  # longest sleep; bounds the delay of `WardTelemetry.stop`


@dataclass(frozen=True)
class Began:
    """A scripted episode that has begun: bed, episode and onset, UTC nanoseconds."""

    bed: WardBed
    episode: ScriptedEpisode
    onset_ns: int


class WardTelemetry:
    """Sends the beds' windows from `start` until `stop`.

    Parameters
    ----------
    beds : sequence of WardBed
    producer : TelemetryProducer
        The caller closes it.
    """

    def __init__(self, beds: Sequence[WardBed], producer: TelemetryProducer) -> None:
        self.beds = list(beds)
        self.producer = producer
        self.start_ns = 0
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ward", daemon=True)

    def start(self) -> None:
        """Start sending: the loops start within the next whole second, spread over it."""
        self.start_ns = (time.time_ns() // S + 1) * S
        self._thread.start()

    def stop(self) -> None:
        """Stop sending and wait for the acknowledgements; raises the error of the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.producer.flush(30.0)
        if self.failure is not None:
            raise self.failure

    def bed_start_ns(self, k: int) -> int:
        """Time of the first sample of bed ``k``, UTC nanoseconds."""
        return self.start_ns + round(k / max(1, len(self.beds)) * S)

    def began(self, before_ns: int) -> list[Began]:
        """The scripted episodes whose alert was due before a time, by onset."""
        found = []
        for k, bed in enumerate(self.beds):
            loop_ns = round(bed.ecg.duration_s * S)
            for episode in bed.episodes:
                onset_ns = self.bed_start_ns(k) + round(episode.onset_s * S)
                while self.start_ns and onset_ns + episode.due_s * S <= before_ns:
                    found.append(Began(bed, episode, onset_ns))
                    onset_ns += loop_ns
        return sorted(found, key=lambda b: b.onset_ns)

    def _run(self) -> None:
        due = [(self.bed_start_ns(k) + round(bed.message_s * S), k, 0) for k, bed in enumerate(self.beds)]
        heapq.heapify(due)
        epoch = self.start_ns // 1_000_000
        try:
            while due and not self._stop.is_set():
                at_ns, k, sequence = due[0]
                wait_s = (at_ns - time.time_ns()) / S
                if wait_s > 0:
                    self._stop.wait(min(wait_s, _NAP_S))
                    continue
                bed = self.beds[k]
                heapq.heapreplace(due, (at_ns + round(bed.message_s * S), k, sequence + 1))
                self._send(bed, self.bed_start_ns(k), epoch, sequence)
        except BaseException as failure:
            self.failure = failure

    def _send(self, bed: WardBed, start_ns: int, epoch: int, sequence: int) -> None:
        """Send message ``sequence``; a silent bed skips its number, as at a loss of the radio link."""
        loop_s = bed.ecg.duration_s
        at_s = sequence * bed.message_s % loop_s
        if bed.silent is not None and bed.silent[0] <= at_s < bed.silent[1]:
            return
        first = round(sequence * bed.message_s * bed.ecg.fs_hz)
        last = round((sequence + 1) * bed.message_s * bed.ecg.fs_hz)
        off = bed.leads_off is not None and bed.leads_off[0] <= at_s < bed.leads_off[1]
        window = window_of_ecg(
            replace(
                loop_slice(bed.ecg, first, last),
                start_ns=start_ns + round(first / bed.ecg.fs_hz * 1e9),
                leads_off=bed.ecg.leads if off else (),
            ),
            bed_stream=bed.bed_stream,
            unit=bed.unit,
            bed=bed.bed,
            patient=bed.patient,
            epoch=epoch,
            sequence=sequence,
            gateway_time_ns=time.time_ns(),
            lsb_uv=LSB_UV,
        )
        self.producer.send(window)


def loop_slice(ecg: Ecg, first: int, last: int) -> Ecg:
    """Samples ``first`` to ``last`` of the endlessly repeated signal."""
    columns = np.arange(first, last) % ecg.n_samples
    return replace(ecg, mv=ecg.mv[:, columns], pacer_marks=np.zeros(0, np.int64))
