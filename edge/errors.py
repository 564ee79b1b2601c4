"""Every error that edge raises, grouped by who can do something about it.

EdgeError
├── InputError           what was given cannot be used; the person acts
│   ├── ModelError
│   └── CalibrationError
├── UnavailableError     this machine lacks it
│   └── MissingExtraError
├── BuildError           a build gave up
├── PlanMismatchError    a plan made for something else; build it again
├── CheckFailedError     it ran, and the answer is no (exit code 3)
├── CameraLostError      worked, then failed
└── EngineLostError
"""

from __future__ import annotations

import sys


class EdgeError(Exception):
    """An error with one clear line for a person.

    Args:
        message: names the thing and says what is wrong with it, without a final full stop.
        hint: what to do about it, without a final full stop.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Let the error cross from a child process to its parent."""
        return _rebuild, (type(self), self.args, self.hint)

    def __str__(self) -> str:
        """Give the whole line as it is printed after `edge: `."""
        return " ".join(f"{self.args[0]}. {self.hint}".split())


def _rebuild(kind: type[EdgeError], args: tuple[str, ...], hint: str) -> EdgeError:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    error.hint = hint
    return error


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
            f"{package}: not installed",
            hint=f"Install it with: {sys.executable} -m pip install 'edge[{extra}]'",
        )


class BuildError(EdgeError):
    """A build gave up."""


class PlanMismatchError(EdgeError):
    """A plan was made for another device, TensorRT, model or calibration."""


class CheckFailedError(EdgeError):
    """It ran, and the answer is no."""


class CameraLostError(EdgeError):
    """A source worked and then failed."""


class EngineLostError(EdgeError):
    """An engine worked and then failed."""
