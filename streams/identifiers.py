"""Names that may travel: pseudonyms and bed streams, and how a rejected one is described without being repeated.

A pseudonym is a code of letters, a hyphen and a token of letters and digits, ``p-81f3``. By default it is rejected
where the token is a name or a date: letters alone (unless they are hexadecimal digits), a day (``19700131``,
``31011970``, ``01311970``) with or without letters beside it, or letters beside a year or a six-digit day
(``john1970``, ``john700131``). A year alone, or digits that are no day, are a number like any other. A bed stream, unit
or bed that holds a date is rejected too. A site whose pseudonyms look otherwise sets GEM_BEDSIDE_PATIENT_PATTERN.

Rejected values may be names of people: reasons, logs and headers say what kind of value it was. The dead letter keeps
the bytes.
"""

from __future__ import annotations

import re

_YEAR = r"(?:19|20)\d\d"
_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_DATE = rf"(?:{_YEAR}{_MONTH}{_DAY}|{_DAY}{_MONTH}{_YEAR}|{_MONTH}{_DAY}{_YEAR})"
_SHORT_DATE = rf"(?:\d\d{_MONTH}{_DAY}|{_DAY}{_MONTH}\d\d)"
_WORD = r"(?=[a-z]*[g-z])[a-z]{2,}"  # letters that are no hexadecimal number
_NAME = rf"(?:{_WORD}|[a-z]*{_DATE}[a-z]*|{_WORD}{_YEAR}|{_YEAR}{_WORD}|{_WORD}{_SHORT_DATE})"

PATIENT_PATTERN = rf"(?![a-z]+-{_NAME}$)[a-z]{{1,8}}-[0-9a-z]{{4,40}}"  # default of GEM_BEDSIDE_PATIENT_PATTERN
BED_STREAM = re.compile(r"[A-Za-z0-9._/-]{1,64}")

_SPACED_DATE = rf"(?:{_YEAR}[ ._/-]\d\d?[ ._/-]\d\d?|\d\d?[ ._/-]\d\d?[ ._/-]{_YEAR})"
_ANY_DATE = re.compile(rf"(?<!\d)(?:{_SPACED_DATE}|{_DATE})(?!\d)")


def holds_date(name: str) -> bool:
    """True where a name holds a day of the years 1900 to 2099.

    >>> holds_date("John_Smith_1970-01-01"), holds_date("icu-3/07"), holds_date("run-1764279000")
    (True, False, False)
    """
    return _ANY_DATE.search(name) is not None


def is_bed_stream(name: str) -> bool:
    """True for the name of a bed stream: the alphabet of the contract, and no date.

    >>> is_bed_stream("icu-3/07"), is_bed_stream("Smith 07")
    (True, False)
    """
    return BED_STREAM.fullmatch(name) is not None and not holds_date(name)


def described(value: str) -> str:
    """A value that is not repeated.

    >>> described("John Smith")
    '(10 characters, not repeated)'
    """
    return f"({len(value)} characters, not repeated)"


def displayed_bed_stream(name: str) -> str:
    """A bed stream for messages: itself where it is one, else a description.

    >>> displayed_bed_stream("icu-3/07"), displayed_bed_stream("John_Smith_1970-01-01")
    ("'icu-3/07'", '(21 characters, not repeated)')
    """
    return repr(name) if is_bed_stream(name) else described(name)


def displayed_key(key: bytes | None) -> str:
    """A message key for messages."""
    return "null" if key is None else displayed_bed_stream(key.decode(errors="replace"))
