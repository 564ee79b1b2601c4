"""Pictures: decoded or refused, and cut as the contract says into memory that is given."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import told
from samples import make_contract, make_picture
from strategies import QUICK, contracts

from edge.errors import InputError
from edge.image import PICTURE_SUFFIXES, crop_box, decode, fit

SIDES = st.integers(1, 5000)


@QUICK
@given(height=SIDES, width=SIDES, contract=contracts())
def test_crop_box_lies_in_the_middle_of_the_picture(height, width, contract):
    y, x, box_h, box_w = crop_box(height, width, contract)
    assert 0 < box_h <= height
    assert 0 < box_w <= width
    assert (y, x) == ((height - box_h) // 2, (width - box_w) // 2)


@QUICK
@given(height=SIDES, width=SIDES, contract=contracts())
def test_crop_box_is_what_resizing_and_then_cutting_shows(height, width, contract):
    """In the picture's own pixels the view has the input's sides over the factor of the resize."""
    _, _, box_h, box_w = crop_box(height, width, contract)
    if contract.resize == "stretch":
        assert (box_h, box_w) == (height, width)
        return
    factor = contract.resize_short_px / min(height, width)
    for got, side in ((box_h, contract.input_hw[0]), (box_w, contract.input_hw[1])):
        assert got == 1 or abs(got - side / factor) <= 0.5 + 1e-9


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (72, 72), (50, 90)])
def test_fit_shows_what_resizing_and_then_cutting_shows(height, width):
    """On a smooth picture, within two levels on average: only the sampling differs."""
    contract = make_contract()
    ramp = np.indices((height, width)).astype(np.float64)
    planes = [ramp[0] / height, ramp[1] / width, ramp.sum(axis=0) / (height + width)]
    pixels = np.stack([np.rint(255 * plane) for plane in planes], axis=2).astype(np.uint8)
    factor = contract.resize_short_px / min(height, width)
    size = (round(width * factor), round(height * factor))
    whole = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR).astype(int)
    y, x = ((side - 64) // 2 for side in whole.shape[:2])
    out = np.empty((64, 64, 3), dtype=np.uint8)
    fit(pixels, contract, out)
    assert np.abs(whole[y : y + 64, x : x + 64] - out).mean() < 2


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ((90, 120), {}),
        ((40, 30), {}),
        ((1, 1), {"resize_short_px": 600}),
        ((1, 3000), {"resize_short_px": 600}),
        ((100, 20), {"resize": "stretch"}),
        ((500, 300), {"input_hw": (32, 96), "resize_short_px": 100}),
    ],
)
def test_fit_overwrites_the_given_memory_for_any_picture(shape, changes):
    contract = make_contract(**changes)
    slots = np.full((3, *contract.input_hw, 3), 77, dtype=np.uint8)
    fit(np.full((*shape, 3), (10, 20, 30), dtype=np.uint8), contract, slots[1])
    assert (slots[1] == (10, 20, 30)).all()
    assert (slots[[0, 2]] == 77).all()


def test_fit_copies_the_pixels_when_they_have_the_size_already():
    contract = make_contract(resize_short_px=64)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    out = np.zeros_like(pixels)
    fit(pixels, contract, out)
    np.testing.assert_array_equal(out, pixels)
    assert not np.shares_memory(out, pixels)


def test_fit_cuts_without_resampling_when_the_short_side_is_right():
    pixels = np.random.default_rng(0).integers(0, 256, (72, 100, 3), dtype=np.uint8)
    out = np.empty((64, 64, 3), dtype=np.uint8)
    fit(pixels, make_contract(), out)
    np.testing.assert_array_equal(out, pixels[4:68, 18:82])


def test_fit_averages_when_it_shrinks():
    """Each value is the mean of a hundred; of the nearest four the noise would come out as 64."""
    noise = np.random.default_rng(0).choice([0, 255], (720, 720, 3)).astype(np.uint8)
    out = np.empty((64, 64, 3), dtype=np.uint8)
    fit(noise, make_contract(), out)
    assert 10 < out.std() < 16


@pytest.mark.parametrize("suffix", sorted(PICTURE_SUFFIXES))
def test_decode_reads_every_suffix_that_folders_are_searched_for(tmp_path, suffix):
    path = make_picture(tmp_path / f"picture{suffix}", seed=5)
    pixels = decode(path)
    reference = decode(make_picture(tmp_path / "reference.png", seed=5))
    assert pixels.shape == (90, 120, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - reference).mean() < 5


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 4)], ids=["grey", "alpha"])
def test_decode_gives_three_channels_for_any_png(tmp_path, shape):
    pixels = np.full(shape, 200, dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "p.png"), pixels)
    assert (decode(tmp_path / "p.png") == np.full((8, 9, 3), 200)).all()


def test_decode_turns_a_picture_upright(tmp_path):
    """EXIF orientation 6, as a phone held upright writes it: the left column is the top row."""
    path = make_picture(tmp_path / "p.jpg", height=90, width=120)
    upright = decode(path)
    tag = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tag
    data = path.read_bytes()
    marker = b"\xff\xe1" + struct.pack(">H", len(exif) + 2)
    path.write_bytes(data[:2] + marker + exif + data[2:])
    np.testing.assert_array_equal(decode(path), np.rot90(upright, k=-1))


def png_of(width: int, height: int) -> bytes:
    """Make the head of a PNG that promises this size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [b"", b"a text", b"\xff\xd8\xff\xe0\x00\x10JFIF", png_of(200_000, 200_000)],
    ids=["empty", "text", "only a header", "more pixels than memory"],
)
def test_decode_refuses_in_one_line_what_is_no_picture(tmp_path, data):
    path = tmp_path / "p.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        decode(path)
    assert told(caught) == (
        f"{path}: not a picture, or a damaged one. Give a JPEG, PNG, WebP or BMP file"
    )


def test_decode_names_the_path_when_it_is_missing(tmp_path):
    with pytest.raises(InputError) as caught:
        decode(tmp_path / "none.png")
    assert told(caught).startswith(f"{tmp_path}/none.png: no such file or folder. ")
