"""The Redis keys of a site. The braces around the site are literal: a cluster keeps all keys of a site in one slot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """Names of all keys.

    >>> Keys("main").alerts("icu-3"), Keys("main").strip("4f1c")
    ('ecg:{main}:alerts:icu-3', 'ecg:{main}:strip:4f1c')
    """

    site: str = "main"

    @property
    def prefix(self) -> str:
        """``ecg:{<site>}:``, the beginning of every key."""
        return f"ecg:{{{self.site}}}:"

    def alerts(self, unit: str) -> str:
        """Stream: one entry a version."""
        return f"{self.prefix}alerts:{unit}"

    def alert(self, alert_id: str) -> str:
        """Hash: the newest version."""
        return f"{self.prefix}alert:{alert_id}"

    def active(self, unit: str) -> str:
        """Sorted set: ids of alerts that are not off, by onset in ms."""
        return f"{self.prefix}active:{unit}"

    def live(self, unit: str) -> str:
        """Channel: alerts, beds and vitals as they happen."""
        return f"{self.prefix}live:{unit}"

    def strip(self, alert_id: str) -> str:
        """String: the flagged segment as one `EcgWindow`."""
        return f"{self.prefix}strip:{alert_id}"

    def bed(self, bed_stream: str) -> str:
        """Hash: ``doc``, ``vitals``, ``last_seen``."""
        return f"{self.prefix}bed:{bed_stream}"

    def beds(self, unit: str) -> str:
        """Set: bed streams of a unit."""
        return f"{self.prefix}beds:{unit}"

    def trend(self, bed_stream: str) -> str:
        """Stream: heart rate, PVC rate and ST of the last day, one entry in 30 s."""
        return f"{self.prefix}trend:{bed_stream}"

    @property
    def units(self) -> str:
        """Set: units that have, or had, beds or alerts."""
        return f"{self.prefix}units"

    @property
    def actions(self) -> str:
        """Stream: the inbox of people's actions."""
        return f"{self.prefix}actions"

    @property
    def audit(self) -> str:
        """Stream: who did what at a station or with the command line (`streams.audit`)."""
        return f"{self.prefix}audit"

    @property
    def offsets(self) -> str:
        """Hash: ``<topic>/<partition>`` to the offset applied."""
        return f"{self.prefix}offsets"

    @property
    def generations(self) -> str:
        """Hash: ``<topic>/<partition>`` to the highest generation read (the publisher's own; no station needs it)."""
        return f"{self.prefix}generations"
