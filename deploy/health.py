"""``python -m deploy.health``: exit status 0 where the worker or the station of this container answers its probe.

A worker answers on ``GEM_BEDSIDE_METRICS_PORT``, the station on ``GEM_BEDSIDE_STATION_PORT``; a container runs one of
them. Nothing but the standard library is imported, because the check runs every few seconds.
"""

from __future__ import annotations

import os
import sys
import urllib.request

TIMEOUT_S = 2.0  # below the limit of the container engine, so that the message is ours
PORTS = {"GEM_BEDSIDE_METRICS_PORT": "0", "GEM_BEDSIDE_STATION_PORT": "8080"}  # with their defaults; 0: none


def main() -> int:
    """Exit status."""
    for name, default in PORTS.items():
        port = os.environ.get(name, default)
        if port == "0":
            continue
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=TIMEOUT_S):
                return 0
        except OSError as error:
            print(f"port {port}: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
