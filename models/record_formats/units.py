"""Units of voltage, in the spellings that recording files use.

>>> mv_per_unit("µV"), mv_per_unit("mv"), mv_per_unit("mmHg")
(0.001, 1.0, None)
"""

from __future__ import annotations

import re

MV_PER_UNIT = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "nv": 1e-6}
"""Millivolts per unit, by plain lower-case symbol."""

_LONG_NAMES = {
    "volt": "v",
    "millivolt": "mv",
    "mvolt": "mv",
    "microvolt": "uv",
    "uvolt": "uv",
    "nanovolt": "nv",
    "mdc_dim_volt": "v",
    "mdc_dim_milli_volt": "mv",
    "mdc_dim_micro_volt": "uv",
    "mdc_dim_nano_volt": "nv",
}
_MICRO = str.maketrans({"µ": "u", "μ": "u"})  # U+00B5 micro sign, U+03BC Greek mu


def mv_per_unit(unit: str) -> float | None:
    """Millivolts of one unit; None where the text names no unit of voltage."""
    plain = re.sub(r"\s+", "", repaired(unit)).translate(_MICRO).lower()
    plain = _LONG_NAMES.get(plain.removesuffix("s"), plain)
    return MV_PER_UNIT.get(plain)


def repaired(text: str) -> str:
    r"""Text that is UTF-8 but was decoded as Latin-1, decoded anew; other text unchanged.

    >>> repaired("\u00c2\u00b5V")
    'µV'
    """
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
