"""The sites and units that a request may see: those of the person's role, fewer where the page asks for fewer.

A place is ``<site>/<unit>`` or ``<site>``. `Scope` None is every place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request

SYSTEM = "_system"  # unit of the site's own technical alarms: everyone sees them


@dataclass(frozen=True)
class Scope:
    """Places of a role and places asked for; None: all.

    >>> Scope(asked=frozenset({"main/icu-3"})).allows("main", "icu-4")
    False
    """

    granted: frozenset[str] | None = None
    asked: frozenset[str] | None = None

    def allows(self, site: str, unit: str | None) -> bool:
        """True for a unit (None: any) of a site that is granted and asked for."""
        return all(places is None or _contains(places, site, unit) for places in (self.granted, self.asked))


def _contains(places: frozenset[str], site: str, unit: str | None) -> bool:
    if unit is None or unit == SYSTEM:
        return any(place.split("/", 1)[0] == site for place in places)
    return site in places or f"{site}/{unit}" in places


def scope_of(request: Request) -> Scope:
    """Scope of a request: the query ``units`` (comma-separated), within what the login grants."""
    granted: Iterable[str] | None = getattr(request.state, "places", None)  # set by the login; none without it
    asked = [place for place in request.query_params.get("units", "").split(",") if place]
    return Scope(None if granted is None else frozenset(granted), frozenset(asked) or None)
