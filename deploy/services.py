"""The services of a command from the settings: the site's topics, and the stations' view of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.settings import Settings
    from streams.topics import Topics
    from streams.ward_view import WardView


def topics_of(settings: Settings) -> Topics:
    """The topics of the site."""
    from streams.topics import Topics

    return Topics(prefix=settings.topic_prefix, partitions=settings.partitions)


@contextmanager
def ward_view() -> Iterator[WardView]:
    """View of the Redis in the settings; raises `deploy.failures.ServiceMissing` where it cannot be reached."""
    from agents.settings import Settings
    from deploy.failures import needs_redis
    from streams.ward_view import WardView

    settings = Settings()
    with needs_redis(settings.redis_access.displayed), settings.redis_access.client() as client:
        yield WardView(client, settings.site)
