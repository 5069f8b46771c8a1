"""``gem-bedside station``: serve the nurse-station page."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    host: Annotated[str | None, typer.Option(help="Address to listen on; else GEM_BEDSIDE_STATION_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port, 0 for any; else GEM_BEDSIDE_STATION_PORT.")
    ] = None,
) -> None:
    """Serve the nurse-station page."""
    from agents.logs import configure_logs
    from agents.settings import Settings
    from deploy.limit_table import limit_table
    from deploy.station_access import station_access
    from station.server import serve

    settings = Settings()
    configure_logs("station", settings)
    sites = [site.strip() for site in settings.station_sites.split(",") if site.strip()] or [settings.site]
    host, port = host or settings.station_host, settings.station_port if port is None else port
    serve(settings.redis_access, sites, host, port, station_access(settings, host), limits=limit_table())
