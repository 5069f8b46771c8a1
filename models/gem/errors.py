"""Errors of a GEM service: no answer, no memory for a request, device lost. Standard library alone."""

from __future__ import annotations


class GemUnavailable(RuntimeError):  # noqa: N818 - the technical alarm GEM_UNAVAILABLE
    """No answer from GEM; ``reason`` is the text of the interpretation's ``reason`` field.

    Attributes
    ----------
    reason : str
    lasting : bool
        True: the model itself is gone (no weights, GPU lost); the technical alarm stands. False: this request alone
        (queue full, deadline passed, cancelled).
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


class OutOfMemory(RuntimeError):  # noqa: N818 - named for the condition
    """The device has no memory for a request; the model itself is whole."""


class DeviceLost(RuntimeError):  # noqa: N818 - named for the condition
    """The device no longer answers; the model is gone."""
