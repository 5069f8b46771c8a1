"""The alert streams of a site as they grow, for the command line and the demo; the rest is `streams.ward_view`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from redis import Redis

from streams.alert import Alert
from streams.keys import Keys
from streams.redis_values import entries_by_stream
from streams.ward_view import WardView

_BLOCK_MS = 500  # how long a read of the streams waits at most, so that a new unit or a stop is seen soon


def newest_versions(redis: Redis, site: str, unit: str | None = None) -> list[Alert]:
    """The newest version of every alert that the streams still hold, by onset."""
    newest: dict[str, Alert] = {}
    for name in WardView(redis, site).units() if unit is None else [unit]:
        entries: Any = redis.xrange(Keys(site).alerts(name))
        for _, fields in entries:
            alert = Alert.from_json(fields[b"doc"])
            newest[alert.id] = alert
    return sorted(newest.values(), key=lambda alert: alert.onset)


def alert_versions(
    redis: Redis, site: str, unit: str | None = None, *, from_start: bool = False
) -> Iterator[tuple[str, Alert] | None]:
    """Alert versions as they come.

    Parameters
    ----------
    redis : redis.Redis
        Without ``decode_responses``.
    unit : str, optional
        Only this unit; by default also units that appear later.
    from_start : bool
        First what the streams hold already.

    Yields
    ------
    tuple or None
        Stream entry id (milliseconds of Redis's clock before the dash) and version; None about twice a second while
        nothing comes.
    """
    keys, view = Keys(site), WardView(redis, site)
    cursors: dict[Any, Any] = {}
    while True:
        for name in view.units() if unit is None else [unit]:
            stream = keys.alerts(name)
            if stream not in cursors:
                newest: Any = None if from_start else redis.xrevrange(stream, count=1)
                cursors[stream] = newest[0][0] if newest else b"0-0"
        from_start = True  # a unit that appears later is read from its beginning
        answer: Any = redis.xread(cursors, count=500, block=_BLOCK_MS) if cursors else None
        if not cursors:
            time.sleep(_BLOCK_MS / 1000)
        batches = entries_by_stream(answer)
        for stream, entries in batches:
            for entry_id, fields in entries:
                cursors[stream] = entry_id
                yield entry_id.decode(), Alert.from_json(fields[b"doc"])
        if not batches:
            yield None
