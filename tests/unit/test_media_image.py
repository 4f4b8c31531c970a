import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from media_samples import EXAMPLES
from PIL import EpsImagePlugin, Image, ImageCms

from sonimate.errors import FileMissing, ImageTooLarge, OutputNotWritable, UnreadableImage
from sonimate.media.image import (
    IMAGE_FORMATS,
    MAX_PIXELS,
    even_size,
    read_image,
    resize_longer_side,
    write_png,
)

EXIF_ORIENTATION = 0x0112


def corners() -> np.ndarray:
    """A 40 x 60 image whose four quarters differ: red, green / blue, white."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30, 0] = pixels[:20, 30:, 1] = pixels[20:, :30, 2] = 255
    pixels[20:, 30:] = 255
    return pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int, tmp_path: Path) -> None:
    undo = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](corners())))
    stored.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), corners())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "YCbCr"])
def test_every_colour_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(corners()).convert(mode).save(path, compression="tiff_lzw")
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.astype(int), corners(), atol=2)


@pytest.mark.parametrize(
    ("stored", "suffix"),
    [
        (np.full((8, 8), 128 * 257, np.uint16), "png"),
        (np.full((8, 8), 128 * 257, np.int32), "tif"),
        (np.full((8, 8), 128, np.uint8), "png"),
    ],
)
def test_grey_keeps_its_brightness_at_any_depth(stored: np.ndarray, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(stored).save(path)
    np.testing.assert_array_equal(read_image(path), np.full((8, 8, 3), 128))


def test_black_and_white_is_read(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 0], [255, 0])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 51))
    image.convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 1], [0, 255, 204])


def test_a_transparent_palette_colour_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 0, 0, 0])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.gif", transparency=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif")[0], [[10, 20, 30], [255, 255, 255]])


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif")[0, 0], [255, 0, 0])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_colour_profile_is_converted_to_srgb(suffix: str, tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red_and_blue_exchanged = (
        srgb.replace(b"rXYZ", b"tmp.").replace(b"bXYZ", b"rXYZ").replace(b"tmp.", b"bXYZ")
    )
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (8, 8), (250, 40, 20)).save(path, icc_profile=red_and_blue_exchanged)
    np.testing.assert_allclose(read_image(path)[4, 4].astype(int), [20, 40, 250], atol=6)


def test_a_colour_profile_leaves_transparency_alone(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGBA", (8, 8), (200, 0, 0, 0)).save(tmp_path / "a.png", icc_profile=srgb)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, 0], [255, 255, 255])


def test_a_damaged_colour_profile_is_ignored(tmp_path: Path) -> None:
    Image.fromarray(corners()).save(tmp_path / "a.png", icc_profile=b"not a profile")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), corners())


def test_the_example_portraits_are_read() -> None:
    for path in sorted((EXAMPLES / "portraits").iterdir()):
        pixels = read_image(path)
        assert pixels.ndim == 3
        assert pixels.flags.writeable
        assert pixels.std() > 20


def png_header(width: int, height: int) -> bytes:
    """A png that claims a size and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_955, 13_000, 30_000])
def test_a_huge_image_is_refused_from_its_header(side: int, tmp_path: Path) -> None:
    assert side * side > MAX_PIXELS
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(side, side))
    tracemalloc.start()
    with pytest.raises(ImageTooLarge, match=r"huge\.png.*120 million"):
        read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_the_limit_can_be_lowered(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", corners())
    with pytest.raises(ImageTooLarge):
        read_image(tmp_path / "a.png", max_pixels=2399)
    assert read_image(tmp_path / "a.png", max_pixels=2400).shape == (40, 60, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_a_truncated_image_is_refused(suffix: str, kept: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format={"jpg": "jpeg"}.get(suffix, suffix))
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(buffer.getvalue()[: int(kept * buffer.tell())])
    with pytest.raises(UnreadableImage, match=r"cut\."):
        read_image(path)


Image.init()
WRITABLE = sorted(set(IMAGE_FORMATS) & set(Image.SAVE))


@pytest.mark.parametrize("name", ["portrait.jpg", "portrait", "portrait.eps"])
@pytest.mark.parametrize("kind", [kind for kind in WRITABLE if kind not in ("XBM", "ICNS", "ICO")])
def test_every_listed_format_is_read_by_its_content(kind: str, name: str, tmp_path: Path) -> None:
    options = {"quality": 100, "subsampling": "4:4:4"} if kind in ("JPEG", "AVIF") else {}
    Image.fromarray(corners()).save(tmp_path / name, format=kind, **options)
    error = np.abs(read_image(tmp_path / name).astype(int) - corners())
    assert error.mean() < 8


def test_an_icon_is_read(tmp_path: Path) -> None:
    for kind in ("ICO", "ICNS"):
        Image.fromarray(corners()).resize((64, 64)).save(tmp_path / "a", format=kind, sizes=[(64, 64)])
        assert read_image(tmp_path / "a").shape[2] == 3


def test_a_format_of_a_plugin_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(file: io.BytesIO, filename: str) -> Image.Image:
        with file:
            return Image.open(io.BytesIO(file.read()[4:]), formats=["PNG"])

    monkeypatch.setattr(Image, "ID", list(Image.ID))
    monkeypatch.setitem(Image.OPEN, "HEIF", (opened, lambda prefix: prefix.startswith(b"heif")))
    write_png(tmp_path / "a.png", corners())
    (tmp_path / "a.heic").write_bytes(b"heif" + (tmp_path / "a.png").read_bytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.heic"), corners())


@pytest.mark.parametrize("name", ["portrait.jpg", "portrait.eps", "portrait.ps"])
def test_no_other_program_is_started_for_an_eps(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, path = tmp_path / "programs", tmp_path / name
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    Image.fromarray(corners()).save(path, format="EPS")
    with pytest.raises(UnreadableImage, match="not an image of a known format"):
        read_image(path)
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("kind", ["EPS", "PDF", "SPIDER"])
def test_formats_that_are_not_listed_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "EXTENSION", dict(Image.EXTENSION))  # to save as SPIDER adds .png to it
    Image.fromarray(corners()).convert("L").save(tmp_path / "a.png", format=kind)
    with pytest.raises(UnreadableImage, match="not an image of a known format"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"hello, not an image", bytes(4096)])
def test_what_is_no_image_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "portrait.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=r"portrait\.jpg is not an image"):
        read_image(path)


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImage, match="floating-point"):
        read_image(tmp_path / "a.tif")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"nobody\.png does not exist"):
        read_image(tmp_path / "nobody.png")
    with pytest.raises(FileMissing, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("shape", "expected"), [((400, 300), (200, 150)), ((30, 999), (6, 200)), ((10, 20), (10, 20))]
)
def test_resizing_keeps_the_aspect_and_never_enlarges(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resize_longer_side(np.zeros((*shape, 3), np.uint8), 200).shape[:2] == expected


def test_even_sides() -> None:
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    np.testing.assert_array_equal(even_size(pixels), pixels[:4, :6])
    assert even_size(pixels[:4, :6]).shape == (4, 6, 3)


def test_png_round_trip_leaves_only_the_file(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", corners())
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), corners())
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_png_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritable, match="does not exist"):
        write_png(tmp_path / "nowhere" / "a.png", corners())
