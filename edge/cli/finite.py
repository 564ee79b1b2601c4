"""Numbers of the command line within a range, which nan is not."""

from __future__ import annotations

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A range of floats; Click's own takes nan, which is neither below a limit nor above one."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - Click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - Click's own
        """Give the number, or fail as Click does."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number
