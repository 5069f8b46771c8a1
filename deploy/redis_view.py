"""The alert streams of a site for the command line and the demo; `streams.ward_view` reads the other keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from redis import Redis

from streams.alert import Alert
from streams.document import wrong_fields
from streams.keys import Keys
from streams.redis_values import entries_by_stream
from streams.ward_view import WardView

log = logging.getLogger(__name__)

_BLOCK_MS = 500  # longest wait of a read; without it a new unit or a stop is noticed only with the next alert


def newest_versions(redis: Redis, site: str, unit: str | None = None) -> list[Alert]:
    """The newest version of every alert in the streams, by onset."""
    newest: dict[str, Alert] = {}
    for name in WardView(redis, site).units() if unit is None else [unit]:
        entries: Any = redis.xrange(Keys(site).alerts(name))
        for _, fields in entries:
            alert = _alert(fields)
            if alert is not None:
                newest[alert.id] = alert
    return sorted(newest.values(), key=lambda alert: alert.onset)


def alert_versions(
    redis: Redis, site: str, unit: str | None = None, *, from_start: bool = False
) -> Iterator[tuple[str, Alert] | None]:
    """Alert versions in the order of their arrival.

    Parameters
    ----------
    redis : redis.Redis
        Without ``decode_responses``.
    unit : str, optional
        This unit alone; by default all units, new ones included.
    from_start : bool
        Begin with the oldest entries of the streams.

    Yields
    ------
    tuple or None
        Stream entry id (time of Redis in ms before the dash) and version; None about twice a second without one.
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
                alert = _alert(fields)
                if alert is not None:
                    yield entry_id.decode(), alert
        if not batches:
            yield None


def _alert(fields: Mapping[bytes, bytes]) -> Alert | None:
    """The alert of a stream entry; None, and a line in the log, where it holds none."""
    try:
        return Alert.from_json(fields.get(b"doc", b""))
    except ValidationError as error:
        log.error("an entry of an alert stream cannot be read: %s", wrong_fields(error))
        return None
