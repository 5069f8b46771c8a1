"""Access to the station out of the settings; a station that anybody could reach by mistake does not start."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from deploy.failures import WrongUse

if TYPE_CHECKING:
    from agents.settings import Settings
    from station.access import StationAccess


def station_access(settings: Settings, host: str) -> StationAccess:
    """Door, login and limits of a station that listens on ``host``.

    Raises
    ------
    WrongUse
        Nobody would log in and the address is not this machine's own, or the settings of the login do not fit.
    """
    from station.access import StationAccess
    from station.door import DoorLimits, allowed_hosts
    from station.people import Doorkeeper
    from station.tokens import TokenKeys

    if settings.station_auth == "none" and not _loopback(host):
        raise WrongUse(
            f"the station would serve everybody who reaches {host}, as nobody in particular: set "
            "GEM_BEDSIDE_STATION_AUTH to proxy or token (docs/security.md), or to open where that is meant"
        )
    try:
        file = settings.station_token_keys_file
        keeper = Doorkeeper(
            authentication=settings.station_auth,
            roles=settings.station_roles,
            proxies=settings.station_proxies,
            user_header=settings.station_user_header,
            groups_header=settings.station_groups_header,
            keys=TokenKeys(file) if settings.station_auth == "token" and file is not None else None,
        )
    except ValueError as wrong:
        raise WrongUse(str(wrong)) from wrong
    limits = DoorLimits(settings.station_requests, settings.station_actions, settings.station_feeds)
    return StationAccess(keeper, allowed_hosts(host, settings.station_hosts), limits, settings.station_connections)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
