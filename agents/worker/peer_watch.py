"""Which members of a consumer group have stopped, by the log of their beacons alone.

In: the beacons of a group in the order of their partition, with the broker's append times. Out: the members that have
stopped. No clock is read: a peer has stopped where the log holds enough of this worker's own beacons after the last one
of the peer. A broker that takes no beacons takes none of anybody, so its outage stops no one.
"""

from __future__ import annotations

from dataclasses import dataclass

BEACONS = 6  # within the time after which a peer counts as stopped
OWN_SHARE = 0.7  # of them that must have arrived since: a worker that was late itself judges no other


@dataclass(slots=True)
class _Peer:
    append_ns: int
    own_since: int = 0


class PeerWatch:
    """Compares the beacons of the peers with those of this worker.

    Parameters
    ----------
    stopped_after_s : float
        Time without a beacon after which a peer has stopped, seconds.
    """

    def __init__(self, stopped_after_s: float) -> None:
        self._after_ns = round(stopped_after_s * 1e9)
        self._peers: dict[str, _Peer] = {}

    @property
    def peers(self) -> tuple[str, ...]:
        """Members that have sent beacons and have not stopped."""
        return tuple(self._peers)

    def receive(self, member: str, append_ns: int, *, own: bool) -> list[str]:
        """Take one beacon; the peers that have stopped by then, each returned once."""
        if not own:
            self._peers[member] = _Peer(append_ns)
            return []
        stopped = []
        for peer, seen in list(self._peers.items()):
            seen.own_since += 1
            if append_ns - seen.append_ns >= self._after_ns and seen.own_since >= BEACONS * OWN_SHARE:
                stopped.append(peer)
                del self._peers[peer]
        return stopped
