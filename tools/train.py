"""Train a SqueezeNet 1.1 from scratch on a folder of classes and export it as an ONNX of ours.

    python tools/train.py DATA -o model.onnx

DATA holds train/CLASS/*.jpg and val/CLASS/*.jpg. A batch norm after each convolution makes the
training short; it is folded into the convolution at the export, so that the model is a plain
SqueezeNet. Every epoch is kept in the checkpoint, and a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from augment import augment
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

MEAN_RGB = (123.675, 116.28, 103.53)
STD_RGB = (58.395, 57.12, 57.375)
FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128),
         6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}  # fmt: skip
POOL_BEFORE = (2, 4, 6)
MADE_AHEAD = 4
"""Batches that wait for the training."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights beside the data."""

    epochs: int = 90
    warmup_epochs: int = 4
    batch: int = 64
    train_px: int = 128
    eval_px: int = 160
    lr: float = 0.08
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    mixup: float = 0.2
    dropout: float = 0.3
    seed: int = 7


class ConvNorm(nn.Module):
    """Convolution, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        padding = 1 if kernel == 3 and stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.norm(self.conv(x)))

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of the one convolution that does the same at inference."""
        gain = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        bias = self.norm.bias - self.norm.running_mean * gain
        return self.conv.weight * gain[:, None, None, None], bias


class Fire(nn.Module):
    """Squeeze 1x1, then expand 1x1 beside expand 3x3."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze1x1 = ConvNorm(inputs, squeeze, 1)
        self.expand1x1 = ConvNorm(squeeze, expand, 1)
        self.expand3x3 = ConvNorm(squeeze, expand, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze1x1(x)
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 with batch norm; float32 (N, 3, H, W) RGB normalised -> (N, classes)."""

    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, 64, 3, stride=2)
        channels = 64
        for number, (squeeze, expand) in FIRES.items():
            self.add_module(f"fire{number}", Fire(channels, squeeze, expand))
            channels = 2 * expand
        self.dropout = nn.Dropout(dropout)
        self.conv10 = nn.Conv2d(channels, classes, 1)
        nn.init.normal_(self.conv10.weight, std=0.01)
        nn.init.constant_(self.conv10.bias, 0.5)  # above the last ReLU's dead half

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        for number in FIRES:
            if number in POOL_BEFORE:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = getattr(self, f"fire{number}")(x)
        x = F.relu(self.conv10(self.dropout(x)))
        return x.mean(dim=(2, 3))

    def plain_weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights of the network without batch norm, named as `edge.model.squeezenet` does."""
        pairs = {"conv1": self.conv1.folded(), "conv10": (self.conv10.weight, self.conv10.bias)}
        for number in FIRES:
            fire = getattr(self, f"fire{number}")
            for part in ("squeeze1x1", "expand1x1", "expand3x3"):
                pairs[f"fire{number}/{part}"] = getattr(fire, part).folded()
        return {
            f"{name}.{kind}": tensor.detach().numpy().astype(np.float32)
            for name, pair in pairs.items()
            for kind, tensor in zip(("weight", "bias"), pair, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Split:
    """All pictures of one side of the split, decoded."""

    images: list[npt.NDArray[np.uint8]]
    labels: npt.NDArray[np.int64]


def load_split(folder: Path, classes: list[str]) -> Split:
    """Decode every picture below `folder`; class folders in the order of `classes`."""
    images, labels = [], []
    for index, name in enumerate(classes):
        for path in sorted((folder / name).iterdir()):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is not None:
                images.append(image)
                labels.append(index)
    return Split(images, np.array(labels, dtype=np.int64))


def to_tensor(batch: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Normalise uint8 (N, H, W, 3) BGR to float32 (N, 3, H, W) RGB, channels last."""
    rgb = torch.from_numpy(batch[..., ::-1].copy()).float()
    normal = (rgb - torch.tensor(MEAN_RGB)) / torch.tensor(STD_RGB)
    return normal.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def centre(image: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    """Resize the short side to `size_px` and cut the middle, as the exported contract says."""
    height, width = image.shape[:2]
    factor = size_px / min(height, width)
    if factor != 1:
        size = (max(size_px, round(width * factor)), max(size_px, round(height * factor)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        height, width = image.shape[:2]
    y, x = (height - size_px) // 2, (width - size_px) // 2
    return image[y : y + size_px, x : x + size_px]


def training_batches(
    split: Split, recipe: Recipe, epoch: int
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Yield the augmented batches of one epoch, a few of them made ahead in a thread."""
    rng = np.random.default_rng([recipe.seed, epoch])
    order = rng.permutation(len(split.images))
    steps = len(order) // recipe.batch

    def make(step: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
        others = rng.integers(0, len(split.images), len(chosen))
        views = [
            augment(split.images[i], split.images[j], recipe.train_px, rng)
            for i, j in zip(chosen, others, strict=True)
        ]
        return np.stack(views), split.labels[chosen]

    with ThreadPoolExecutor(1) as ahead:  # one thread keeps the order in which `rng` is asked
        waiting: deque[Future[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]] = deque()
        for step in range(steps):
            waiting.append(ahead.submit(make, step))
            if len(waiting) > MADE_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def learning_rate(recipe: Recipe, progress_epochs: float) -> float:
    """Linear warm-up, then a cosine to zero."""
    if progress_epochs < recipe.warmup_epochs:
        return recipe.lr * (progress_epochs + 0.05) / recipe.warmup_epochs
    done = (progress_epochs - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
    return 0.5 * recipe.lr * (1 + math.cos(math.pi * min(done, 1.0)))


def train_epoch(
    model: SqueezeNet, optimiser: torch.optim.Optimizer, split: Split, recipe: Recipe, epoch: int
) -> float:
    """One pass over the training pictures; gives the mean loss."""
    model.train()
    rng = np.random.default_rng([recipe.seed, epoch, 1])
    losses = []
    steps = len(split.images) // recipe.batch
    for step, (views, labels) in enumerate(training_batches(split, recipe, epoch)):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, epoch + step / steps)
        x, y = to_tensor(views), torch.from_numpy(labels)
        share = float(rng.beta(recipe.mixup, recipe.mixup)) if recipe.mixup else 1.0
        partner = torch.from_numpy(rng.permutation(len(y)))
        x = share * x + (1 - share) * x[partner]
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(x)
        scores = scores.float()
        loss = share * F.cross_entropy(scores, y, label_smoothing=recipe.label_smoothing)
        loss = loss + (1 - share) * F.cross_entropy(
            scores, y[partner], label_smoothing=recipe.label_smoothing
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if sys.stderr.isatty():
            print(f"\repoch {epoch + 1}  {step + 1}/{steps}", end="", file=sys.stderr)
    return float(np.mean(losses))


@torch.inference_mode()
def confusion(model: SqueezeNet, split: Split, size_px: int) -> npt.NDArray[np.int64]:
    """Count (true class, predicted class) over a split, float32."""
    model.eval()
    count = model.conv10.out_channels
    table = np.zeros((count, count), dtype=np.int64)
    for start in range(0, len(split.images), 64):
        batch = np.stack([centre(image, size_px) for image in split.images[start : start + 64]])
        predicted = model(to_tensor(batch)).argmax(dim=1).numpy()
        np.add.at(table, (split.labels[start : start + 64], predicted), 1)
    return table


def export(model: SqueezeNet, classes: list[str], recipe: Recipe, licence: str, out: Path) -> None:
    """Write the plain network with its contract, weights on the int8 grid of each channel."""
    from edge.model.contract import Contract
    from edge.model.onnx_file import save_model
    from edge.model.squeezenet import build_squeezenet
    from edge.model.weights import store_weights_int8

    contract = Contract(
        input_hw=(recipe.eval_px, recipe.eval_px),
        resize_short_px=recipe.eval_px,
        channel_order="RGB",
        mean=MEAN_RGB,
        std=STD_RGB,
        labels=tuple(classes),
        licence=licence,
        source="trained by tools/train.py, see docs/models.md",
        name=out.stem,
    )
    weights = model.plain_weights()
    save_model(store_weights_int8(build_squeezenet("1.1", contract, weights)), out)


def train(options: argparse.Namespace, recipe: Recipe) -> None:
    """Run the recipe from the checkpoint (or the beginning) to the exported file."""
    torch.manual_seed(recipe.seed)
    classes = sorted(path.name for path in (options.data / "train").iterdir() if path.is_dir())
    pictures = load_split(options.data / "train", classes)
    held_out = load_split(options.data / "val", classes)
    print(f"{len(pictures.images)} training, {len(held_out.images)} validation, {classes}")

    model = SqueezeNet(len(classes), recipe.dropout).to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, nesterov=True,
        weight_decay=recipe.weight_decay,
    )  # fmt: skip
    history: list[dict[str, Any]] = []
    checkpoint = options.output.with_suffix(".pt")
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["recipe"] != asdict(recipe):
            sys.exit(f"train: {checkpoint}: made by another recipe. Move it away to start anew")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        history = state["history"]

    table = confusion(model, held_out, recipe.eval_px)
    for epoch in range(len(history), recipe.epochs):
        started = time.monotonic()
        loss = train_epoch(model, optimiser, pictures, recipe, epoch)
        table = confusion(model, held_out, recipe.eval_px)
        accuracy = float(np.trace(table) / table.sum())
        took_s = time.monotonic() - started
        history.append({"epoch": epoch + 1, "loss": round(loss, 4), "val_top1": round(accuracy, 4)})
        print(f"\repoch {epoch + 1}/{recipe.epochs}  loss {loss:.4f}  val top-1 {accuracy:.2%}  "
              f"{took_s:.0f} s", flush=True)  # fmt: skip
        state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(),
                 "history": history, "recipe": asdict(recipe)}  # fmt: skip
        partial = checkpoint.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(checkpoint)

    record = {"recipe": asdict(recipe), "classes": classes, "history": history,
              "confusion": table.tolist()}  # fmt: skip
    options.output.with_suffix(".json").write_text(json.dumps(record, indent=1))
    export(model, classes, recipe, options.licence, options.output)
    print(f"wrote {options.output}")


def main() -> None:
    """Read the command line."""
    recipe = Recipe()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with train/CLASS and val/CLASS")
    parser.add_argument("-o", "--output", type=Path, required=True, help="ONNX to write")
    parser.add_argument("--epochs", type=int, default=recipe.epochs)
    parser.add_argument("--batch", type=int, default=recipe.batch)
    parser.add_argument("--lr", type=float, default=recipe.lr)
    parser.add_argument("--seed", type=int, default=recipe.seed)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--licence", default="Apache-2.0", help="licence of the weights")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    train(options, Recipe(epochs=options.epochs, batch=options.batch, lr=options.lr,
                          seed=options.seed))  # fmt: skip


if __name__ == "__main__":
    main()
