"""The contract of a classifier: how a picture becomes its input and what its scores mean."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from edge.errors import ModelError

CONTRACT_VERSION = 1
ChannelOrder = Literal["BGR", "RGB"]
Resize = Literal["short", "stretch"]
Output = Literal["logits", "probabilities"]


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything needed to use a model rightly; kept in the ONNX metadata.

    The picture is resized (`short`: its short side to `resize_short_px`, keeping the aspect;
    `stretch`: to `input_hw` whatever its aspect), the middle `input_hw` is cut out, the channels
    are put into order, and (value - mean) / std is fed, values being 0 to 255.

    Attributes:
        name: what the model is called.
        input_hw: height and width of the network's input in pixels.
        resize_short_px: short side after the resize; not used by `stretch`.
        channel_order: of the float network's input.
        mean: per channel, in `channel_order`, on the scale 0 to 255.
        std: per channel, in `channel_order`, on the scale 0 to 255.
        labels: one name a class, in the order of the scores.
        licence: of the weights.
        source: where the weights come from.
        resize: the resize rule.
        output: whether the scores still want a softmax.
    """

    name: str
    input_hw: tuple[int, int]
    resize_short_px: int
    channel_order: ChannelOrder
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    labels: tuple[str, ...]
    licence: str = "not stated"
    source: str = "not stated"
    resize: Resize = "short"
    output: Output = "logits"

    def __post_init__(self) -> None:
        """Refuse values that no picture could be prepared with.

        Raises:
            ModelError: names the value.
        """
        problem = self._problem()
        if problem:
            raise ModelError(
                f"{self.name}: contract: {problem}",
                hint="Import the model again with the right flags (edge models import --help)",
            )

    def _problem(self) -> str | None:
        checks = {
            f"input size {self.input_hw} is not a height and a width": (
                len(self.input_hw) == 2 and min(self.input_hw) > 0
            ),
            f"resize to {self.resize_short_px} px is below the input size {self.input_hw}": (
                self.resize != "short" or self.resize_short_px >= max(self.input_hw, default=0)
            ),
            "mean and std want three values each": len(self.mean) == len(self.std) == 3,
            "mean and std must be finite": all(map(math.isfinite, (*self.mean, *self.std))),
            f"std {self.std} is not positive": min(self.std, default=0) > 0,
            "no labels": bool(self.labels),
            f"channel order {self.channel_order!r} is not BGR or RGB": (
                self.channel_order in {"BGR", "RGB"}
            ),
            f"resize rule {self.resize!r} is not short or stretch": (
                self.resize in {"short", "stretch"}
            ),
            f"output {self.output!r} is not logits or probabilities": (
                self.output in {"logits", "probabilities"}
            ),
        }
        return next((wrong for wrong, holds in checks.items() if not holds), None)

    def to_json(self) -> str:
        """Give the text that is stored in the ONNX metadata."""
        return json.dumps({"version": CONTRACT_VERSION, **asdict(self)}, ensure_ascii=False)

    def renamed(self, name: str) -> Contract:
        """Give the same contract under another name."""
        return replace(self, name=name)


def parse_contract(text: str, origin: str) -> Contract:
    """Read a contract from the text in the ONNX metadata.

    Args:
        text: JSON as `Contract.to_json` writes it.
        origin: the file, for the error's line.

    Raises:
        ModelError: the text is not a contract, or one of a newer edge.
    """
    try:
        return _from_fields(json.loads(text), origin)
    except _UNREADABLE as error:
        raise ModelError(
            f"{origin}: its contract cannot be read",
            hint="Import the model again with edge models import",
        ) from error


_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What Python raises where JSON is broken, or holds other things than a contract does."""


def _from_fields(fields: dict[str, Any], origin: str) -> Contract:
    version = fields.pop("version")
    if version != CONTRACT_VERSION:
        raise ModelError(
            f"{origin}: its contract has version {version}, this edge reads {CONTRACT_VERSION}",
            hint="Update edge",
        )
    fields["input_hw"] = tuple(int(side) for side in fields["input_hw"])
    fields["mean"] = tuple(float(value) for value in fields["mean"])
    fields["std"] = tuple(float(value) for value in fields["std"])
    fields["labels"] = tuple(str(label) for label in fields["labels"])
    return Contract(**fields)
