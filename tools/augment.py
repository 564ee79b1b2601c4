"""Picture augmentation of the training tool: uint8 BGR in, uint8 BGR of the training size out.

The eight-class photographs are easy in a way that live video is not: objects fill the frame and
many stand on plain white. So, beside the usual crop, flip and colour changes, white surroundings
are filled with other textures and pictures are pasted small into unrelated ones.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

WHITE_LEVEL = 232
MIN_WHITE_SHARE = 0.15


def random_crop(image: Image, size_px: int, rng: np.random.Generator) -> Image:
    """Cut a random box of 25 to 100 % of the area, aspect 3:4 to 4:3, and resize it to a square."""
    height, width = image.shape[:2]
    for _ in range(10):
        area = height * width * rng.uniform(0.25, 1.0)
        aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        box_w, box_h = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if box_w <= width and box_h <= height:
            break
    else:
        box_w = box_h = min(width, height)
    x = int(rng.integers(0, width - box_w + 1))
    y = int(rng.integers(0, height - box_h + 1))
    interpolation = cv2.INTER_AREA if min(box_w, box_h) > size_px else cv2.INTER_LINEAR
    box = image[y : y + box_h, x : x + box_w]
    return cv2.resize(box, (size_px, size_px), interpolation=interpolation)


def texture(other: Image, size_px: int, rng: np.random.Generator) -> Image:
    """Make a background without an object in it: another picture, blurred, mirrored and tinted."""
    crop = random_crop(other, size_px, rng)
    blurred = cv2.GaussianBlur(crop, (0, 0), rng.uniform(4, 14))
    noise = rng.normal(0, rng.uniform(2, 14), (size_px // 2, size_px // 2, 3)).astype(np.float32)
    grain = cv2.resize(noise, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
    tint = rng.uniform(0.4, 1.1, 3)
    return np.clip(blurred[::-1] * tint + grain, 0, 255).astype(np.uint8)


def fill_white(image: Image, background: Image) -> Image:
    """Put `background` (same shape) where the picture is nearly white; a picture without stays."""
    white = (image.min(axis=2) >= WHITE_LEVEL).astype(np.float32)
    if white.mean() < MIN_WHITE_SHARE:
        return image
    mask = cv2.GaussianBlur(white, (0, 0), 1.0)[..., None]
    return (image * (1 - mask) + background * mask).astype(np.uint8)


def paste_small(image: Image, background: Image, rng: np.random.Generator) -> Image:
    """Show the whole picture at 40 to 85 % of its size somewhere on `background`."""
    size_px = background.shape[0]
    small_px = round(size_px * rng.uniform(0.4, 0.85))
    small = cv2.resize(image, (small_px, small_px), interpolation=cv2.INTER_AREA)
    x, y = rng.integers(0, size_px - small_px + 1, 2)
    out = background.copy()
    out[y : y + small_px, x : x + small_px] = small
    return out


def jitter_colour(image: Image, rng: np.random.Generator) -> Image:
    """Change brightness, contrast, saturation and white balance; now and then drop the colour."""
    pixels = image.astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    saturation = 0.0 if rng.random() < 0.1 else rng.uniform(0.5, 1.5)
    pixels = grey + (pixels - grey) * saturation
    pixels *= rng.uniform(0.88, 1.12, 3).astype(np.float32)
    contrast, brightness = rng.uniform(0.6, 1.4), rng.uniform(-35, 35)
    pixels = (pixels - 128) * contrast + 128 + brightness
    return np.clip(pixels, 0, 255).astype(np.uint8)


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Blur as a moving camera does, or code as a webcam's MJPEG does."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    quality = int(rng.integers(30, 80))
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def erase_box(image: Image, rng: np.random.Generator) -> Image:
    """Hide a box of 3 to 20 % of the area under noise, so that no single part decides."""
    size_px = image.shape[0]
    box_px = int(size_px * np.sqrt(rng.uniform(0.03, 0.2)))
    x, y = rng.integers(0, size_px - box_px, 2)
    out = image.copy()
    out[y : y + box_px, x : x + box_px] = rng.integers(0, 256, (box_px, box_px, 3), dtype=np.uint8)
    return out


def augment(image: Image, other: Image, size_px: int, rng: np.random.Generator) -> Image:
    """Make one training view of `image`; `other` lends its colours to the backgrounds.

    Args:
        image: uint8, (H, W, 3), BGR.
        other: an unrelated picture, uint8, (H, W, 3), BGR.
        size_px: side of the square result.
        rng: the source of all randomness.

    Returns:
        uint8, (size_px, size_px, 3), BGR.
    """
    view = random_crop(image, size_px, rng)
    if rng.random() < 0.6:
        view = fill_white(view, texture(other, size_px, rng))
    if rng.random() < 0.25:
        view = paste_small(view, texture(other, size_px, rng), rng)
    if rng.random() < 0.5:
        view = view[:, ::-1]
    if rng.random() < 0.85:
        view = jitter_colour(view, rng)
    if rng.random() < 0.25:
        view = degrade(np.ascontiguousarray(view), rng)
    if rng.random() < 0.25:
        view = erase_box(view, rng)
    return np.ascontiguousarray(view)
