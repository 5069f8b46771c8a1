"""A worker counts a peer as stopped by the log of the beacons: its own go on, the peer's do not."""

from __future__ import annotations

from agents.worker.peer_watch import PeerWatch

S = 1_000_000_000


def feed(watch: PeerWatch, *beacons: tuple[str, float]) -> list[tuple[str, float]]:
    """Beacons of members at times (s); the stopped peers, each with the time at which it was known."""
    found = []
    for member, at_s in sorted(beacons, key=lambda beacon: beacon[1]):
        stopped = watch.receive(member, round(at_s * S), own=member == "me")
        found += [(peer, at_s) for peer in stopped]
    return found


def every(member: str, start_s: float, stop_s: float, step_s: float = 0.4) -> list[tuple[str, float]]:
    return [(member, start_s + k * step_s) for k in range(round((stop_s - start_s) / step_s))]


def test_a_peer_whose_beacons_end_has_stopped_after_the_time_that_was_set_and_is_named_once() -> None:
    watch = PeerWatch(2.5)
    found = feed(watch, *every("me", 0, 20), *every("peer", 0.1, 10.1), *every("other", 0.2, 20))
    assert [peer for peer, _ in found] == ["peer"]
    assert 2.5 <= found[0][1] - 9.7 <= 2.9, "at the first own beacon after 2.5 s"
    assert watch.peers == ("other",)


def test_an_outage_of_the_broker_stops_nobody() -> None:
    # Nothing is appended from second 5 to second 30; then both go on, the peer a second later.
    own = [*every("me", 0, 5), *every("me", 30, 40)]
    peer = [*every("peer", 0.1, 5), *every("peer", 31, 40)]
    assert feed(PeerWatch(2.5), *own, *peer) == []


def test_a_worker_that_was_late_itself_judges_no_peer_by_it() -> None:
    # This process stood still for 20 s; the first own beacon after that says nothing about the peer's next one.
    own = [*every("me", 0, 5), *every("me", 25, 26)]
    assert feed(PeerWatch(2.5), *own, *every("peer", 0.1, 4)) == []


def test_a_peer_that_comes_back_is_watched_again() -> None:
    watch = PeerWatch(2.5)
    found = feed(watch, *every("me", 0, 40), *every("peer", 0, 5), *every("peer", 15, 20))
    assert [peer for peer, _ in found] == ["peer", "peer"]


def test_before_its_own_beacons_a_worker_names_nobody() -> None:
    assert feed(PeerWatch(2.5), *every("peer", 0, 5), *every("other", 0, 60)) == []
