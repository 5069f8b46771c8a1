"""Base of all JSON documents: snake_case, RFC 3339 UTC times with microseconds, null for unknown, no NaN."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, ValidationError, WithJsonSchema

MAX_NAMED_ERRORS = 5  # of a document, in a reason
_FIELD = re.compile(r"[a-z_]{1,32}")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of_ns(ns: int) -> datetime:
    """UTC datetime of nanoseconds since 1970, rounded to microseconds."""
    return _EPOCH + timedelta(microseconds=round(ns / 1000))


def ns_of_time(time: datetime) -> int:
    """Nanoseconds since 1970 of a UTC datetime, exact to the microsecond."""
    delta = time - _EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000


def rfc3339(time: datetime) -> str:
    """``2026-11-22T22:10:44.120000Z``: always UTC, always six decimals."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


@lru_cache(maxsize=64)
def rfc3339_of_ns(ns: int) -> str:
    """The same of nanoseconds since 1970; many messages have one instant.

    >>> rfc3339_of_ns(1_764_279_000_120_000_000)
    '2025-11-27T21:30:00.120000Z'
    """
    return rfc3339(time_of_ns(ns))


def wrong_fields(error: Exception) -> str:
    """Fields and rules of a document that does not fit; no value is repeated, since it may be the name of a person.

    The text of an error that is not pydantic's is returned as it is.
    """
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False, include_input=False, include_context=False)[:MAX_NAMED_ERRORS]
    return "; ".join(f"{'.'.join(_displayed_parts(x['loc'])) or 'doc'}: {x['msg']}" for x in found)


def _displayed_parts(loc: tuple[int | str, ...]) -> list[str]:
    return [str(x) if isinstance(x, int) or _FIELD.fullmatch(x) else "…" for x in loc]  # keys of a table are values


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("the time has no time zone: write it in UTC, ending in Z")
    try:
        return time.astimezone(UTC)
    except OverflowError:  # within a day of the first or the last time that can be written
        return time.replace(tzinfo=UTC)


Time = Annotated[
    datetime,
    AfterValidator(_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Document(BaseModel):
    """Base class: frozen, no NaN; unknown fields are ignored, because a newer writer may add some."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
        protected_namespaces=(),
        hide_input_in_errors=True,  # a rejected value may be the name of a person
    )

    def to_json(self) -> bytes:
        """UTF-8 JSON with the published field names (docs/schemas)."""
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """Read one document; pydantic's ValidationError names the fields that do not fit."""
        return cls.model_validate_json(data)

    def changed(self, **fields: Any) -> Self:
        """A copy with some fields replaced; the values are not validated again."""
        return self.model_copy(update=fields)
