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
from edge.frame import Planes
from edge.image import (
    PICTURE_SUFFIXES,
    Fitter,
    Memory,
    crop_box,
    decode,
    read_jpeg,
    to_bgr,
    to_pixels,
    to_thumbnail,
)

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
    Fitter(contract).fit(pixels, out)
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
    Fitter(contract).fit(np.full((*shape, 3), (10, 20, 30), dtype=np.uint8), slots[1])
    assert (slots[1] == (10, 20, 30)).all()
    assert (slots[[0, 2]] == 77).all()


def test_fit_copies_the_pixels_when_they_have_the_size_already():
    contract = make_contract(resize_short_px=64)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    out = np.zeros_like(pixels)
    Fitter(contract).fit(pixels, out)
    np.testing.assert_array_equal(out, pixels)
    assert not np.shares_memory(out, pixels)


def test_fit_cuts_without_resampling_when_the_short_side_is_right():
    pixels = np.random.default_rng(0).integers(0, 256, (72, 100, 3), dtype=np.uint8)
    out = np.empty((64, 64, 3), dtype=np.uint8)
    Fitter(make_contract()).fit(pixels, out)
    np.testing.assert_array_equal(out, pixels[4:68, 18:82])


def test_fit_averages_when_it_shrinks():
    """Each value is the mean of a hundred; of the nearest four the noise would come out as 64."""
    noise = np.random.default_rng(0).choice([0, 255], (720, 720, 3)).astype(np.uint8)
    out = np.empty((64, 64, 3), dtype=np.uint8)
    Fitter(make_contract()).fit(noise, out)
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


def test_fit_halves_by_the_mean_of_four():
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    out = np.empty((64, 64, 3), dtype=np.uint8)
    Fitter(make_contract(resize_short_px=64)).fit(pixels, out)
    means = pixels.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(out - means).max() <= 0.5


def make_scene(height: int, width: int) -> np.ndarray:
    """Draw soft colours with some edges, which a JPEG keeps well."""
    small = np.random.default_rng(height).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def as_jpeg(pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".jpg", pixels, options)[1].tobytes()


@pytest.mark.parametrize("resize", ["short", "stretch"])
@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1080, 1920), (480, 640), (40, 50)])
def test_fit_of_a_jpeg_shows_what_fit_of_its_pixels_shows(height, width, resize):
    contract = make_contract(resize=resize)
    coded = as_jpeg(make_scene(height, width))
    whole, scaled = np.empty((2, 64, 64, 3), dtype=np.uint8)
    Fitter(contract).fit(cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR), whole)
    Fitter(contract).fit(read_jpeg(coded), scaled)
    assert np.abs(whole.astype(int) - scaled).mean() < 3


def test_fit_of_a_jpeg_stays_right_when_sizes_change_from_picture_to_picture():
    fitter, out = Fitter(make_contract()), np.empty((64, 64, 3), dtype=np.uint8)
    for height, width, colour in ((480, 640, 30), (720, 1280, 200), (90, 120, 90)):
        fitter.fit(read_jpeg(as_jpeg(np.full((height, width, 3), colour, np.uint8))), out)
        assert np.abs(out.astype(int) - colour).max() <= 2


def test_fit_of_a_gray_jpeg_is_gray():
    out = np.empty((64, 64, 3), dtype=np.uint8)
    Fitter(make_contract()).fit(read_jpeg(as_jpeg(np.full((100, 100), 77, np.uint8))), out)
    assert (out == 77).all()


def test_jpeg_says_its_size_without_being_decoded():
    jpeg = read_jpeg(as_jpeg(make_scene(90, 160))[:700])
    assert (jpeg.height, jpeg.width) == (90, 160)


@pytest.mark.parametrize("coded", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", bytes(64)])
def test_read_jpeg_refuses_what_is_none(coded):
    with pytest.raises(InputError, match="not a JPEG"):
        read_jpeg(coded)


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.98])
def test_cut_jpeg_is_refused(kept):
    coded = as_jpeg(np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8))
    jpeg = read_jpeg(coded[: int(kept * len(coded))])
    with pytest.raises(InputError, match="damaged"):
        Fitter(make_contract()).fit(jpeg, np.empty((64, 64, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="damaged"):
        to_pixels(jpeg)


@given(data=st.data())
@QUICK
def test_jpeg_with_flipped_bytes_is_a_picture_or_an_input_error(data):
    coded = bytearray(as_jpeg(make_scene(48, 64)))
    for _ in range(data.draw(st.integers(1, 8))):
        coded[data.draw(st.integers(0, len(coded) - 1))] = data.draw(st.integers(0, 255))
    try:
        jpeg = read_jpeg(bytes(coded))
        if jpeg.height * jpeg.width < 1_000_000:
            Fitter(make_contract()).fit(jpeg, np.empty((64, 64, 3), dtype=np.uint8))
    except InputError:
        pass


def as_planes(pixels: np.ndarray, planes: Planes) -> Planes:
    """Turn BGR into Y'CbCr 4:2:0 by solving the map of `to_bgr`."""
    affine = to_bgr(planes).astype(np.float64)
    ycc = (pixels - affine[:, 3]) @ np.linalg.inv(affine[:, :3]).T
    luma, blue, red = np.moveaxis(ycc.round().clip(0, 255).astype(np.uint8), 2, 0)
    return Planes(
        luma, blue[::2, ::2].copy(), red[::2, ::2].copy(), planes.matrix, planes.full_range
    )


EMPTY = np.empty((0, 0), dtype=np.uint8)


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
def test_planes_become_the_colours_they_were_made_of(matrix, full_range):
    scene = make_scene(288, 512)
    planes = as_planes(scene, Planes(EMPTY, EMPTY, EMPTY, matrix, full_range))
    assert np.abs(to_pixels(planes).astype(int) - scene).mean() < 2
    wanted, out = np.empty((2, 64, 64, 3), dtype=np.uint8)
    Fitter(make_contract()).fit(scene, wanted)
    Fitter(make_contract()).fit(planes, out)
    assert np.abs(out.astype(int) - wanted).mean() < 2


@pytest.mark.parametrize(
    ("matrix", "full_range", "ycc", "bgr"),
    [
        ("bt601", False, (81, 90, 240), (0, 0, 255)),
        ("bt601", True, (76, 85, 255), (0, 0, 255)),
        ("bt709", False, (63, 102, 240), (0, 0, 255)),
        ("bt709", False, (235, 128, 128), (255, 255, 255)),
        ("bt601", False, (16, 128, 128), (0, 0, 0)),
    ],
)
def test_well_known_colours_come_out_of_planes(matrix, full_range, ycc, bgr):
    luma, blue, red = (np.full((2, 2), value, dtype=np.uint8) for value in ycc)
    pixels = to_pixels(Planes(luma, blue, red, matrix, full_range))
    assert np.abs(pixels.astype(int) - bgr).max() <= 2


def test_pixels_are_given_as_they_are():
    pixels = make_scene(20, 30)
    assert to_pixels(pixels) is pixels


def test_memory_is_kept_while_it_is_large_enough():
    memory = Memory()
    first = memory.give((10, 20, 3))
    assert np.shares_memory(first, memory.give((20, 10, 3)))
    assert np.shares_memory(first, memory.give((5, 4)))
    assert memory.give((11, 20, 3)).shape == (11, 20, 3)


@pytest.mark.parametrize("shape", [(40, 90), (300, 200)])
def test_thumbnail_is_the_middle_square_as_a_jpeg(shape):
    pixels = np.zeros((*shape, 3), np.uint8)
    height, width = shape
    side = min(shape)
    y, x = (height - side) // 2, (width - side) // 2
    pixels[..., 2] = 255
    pixels[y : y + side, x : x + side] = (0, 255, 0)
    small = cv2.imdecode(np.frombuffer(to_thumbnail(pixels, 64), np.uint8), cv2.IMREAD_COLOR)
    assert small.shape == (64, 64, 3)
    assert np.abs(small.astype(int) - (0, 255, 0)).max() < 16
