"""Every error that edge raises, grouped by who can do something about it.

EdgeError
├── InputError           what was given cannot be used; the person acts
│   ├── ModelError
│   └── CalibrationError
├── UnavailableError     this machine lacks it
│   └── MissingExtraError
├── CameraLostError      worked, then failed
└── EngineLostError
"""

from __future__ import annotations


class EdgeError(Exception):
    """An error with one clear line for a person.

    Args:
        message: names the thing and says what is wrong with it, without a final full stop.
        hint: what to do about it, without a final full stop.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        """Give the whole line as it is printed after `edge: `."""
        return " ".join(f"{self.args[0]}. {self.hint}".split())


class InputError(EdgeError):
    """What was given cannot be used."""


class ModelError(InputError):
    """A model file is broken, unsupported, or lacks its contract."""


class CalibrationError(InputError):
    """A calibration set cannot be used."""


class UnavailableError(EdgeError):
    """This machine lacks what was asked for."""


class MissingExtraError(UnavailableError):
    """A Python package that belongs to an extra is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package}: not installed", hint=f"Install it with: pip install 'edge[{extra}]'"
        )


class CameraLostError(EdgeError):
    """A source worked and then failed."""


class EngineLostError(EdgeError):
    """An engine worked and then failed."""
