"""Image files to arrays and back: upright, opaque, 8-bit sRGB."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageSequence, UnidentifiedImageError

from sonimate.errors import ImageTooLarge, SonimateError, UnreadableImage
from sonimate.media.files import not_readable, replacing, require_file, write_errors

log = logging.getLogger(__name__)

MAX_PIXELS = 120_000_000
"""Allows photographs of 108 MP phones and 102 MP medium-format cameras; decoding one takes at most 2 GB."""

WHITE = (255, 255, 255)
"""The colour behind a transparent portrait: that of the page for which it was cut out."""

IMAGE_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "HEIF", "JXL", "JPEG2000", "ICO", "ICNS"),
    *("DDS", "PCD", "PCX", "PPM", "PSD", "QOI", "SGI", "SUN", "TGA", "XBM", "XPM"),
)
"""Pillow's names of the formats that are read; HEIF by pi-heif, JXL by a plugin if there is one. Left out are
formats that Pillow hands to another program (EPS to Ghostscript), and containers of scientific data."""

SEQUENCES = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")
"""Formats whose files may hold several pictures of which a user knows: frames of an animation, or pages.
Photographs of telephones hold others too, for depth or brightness."""

ANIMATIONS = ("GIF", "PNG", "WEBP", "AVIF")
"""Those of SEQUENCES whose pictures follow each other in time."""

EXIF_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture of each orientation upright (EXIF 2.32, tag 274)."""


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image of IMAGE_FORMATS, recognised by its content, as uint8 sRGB (h, w, 3).

    EXIF rotation is applied, colour profiles are converted, transparent parts become white, 16-bit grey is
    scaled to 8 bits, and of several frames or pages the first one is taken, with a logged warning.
    Raises FileMissing, FileNotReadable, ImageTooLarge (from the header, before any pixel is decoded), or
    UnreadableImage (not an image, truncated, or of a pixel type without a defined range).
    """
    file = require_file(path)
    with _decoding(path, max_pixels), _open(file) as image:
        if image.width * image.height > max_pixels:
            raise _too_large(path, max_pixels)
        if image.format in SEQUENCES and getattr(image, "is_animated", False):
            log.warning("%s holds several pictures: the first one is used.", path)
        return np.array(_opaque_srgb(_upright(image)))


def read_alpha(path: str | Path) -> np.ndarray | None:
    """How opaque a still picture is, uint8 (h, w), upright; None if all of it is, and for an animated one.
    Raises the errors of `read_image`."""
    with _decoding(path, MAX_PIXELS), _open(require_file(path)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(path, MAX_PIXELS)
        if not image.has_transparency_data or getattr(image, "is_animated", False):
            return None
        alpha = np.array(_upright(image).convert("RGBA").getchannel("A"))
    return alpha if alpha.min() < 255 else None


def animated_frames(path: str | Path) -> Generator[tuple[float, np.ndarray], None, None] | None:
    """Begin times in seconds and frames, uint8 sRGB (h, w, 3), of an animated picture; None for a still one,
    or one with pages. Raises the errors of `read_image`."""
    with _decoding(path, MAX_PIXELS), _open(require_file(path)) as image:
        moves = image.format in ANIMATIONS and getattr(image, "is_animated", False)
    return _frames(path) if moves else None


def _frames(path: str | Path) -> Generator[tuple[float, np.ndarray], None, None]:
    with _decoding(path, MAX_PIXELS), _open(require_file(path)) as image:
        seconds = 0.0
        for frame in ImageSequence.Iterator(image):
            if frame.width * frame.height > MAX_PIXELS:
                raise _too_large(path, MAX_PIXELS)
            yield seconds, np.array(_opaque_srgb(_upright(frame.copy())))
            seconds += frame.info.get("duration", 100) / 1000


def is_image(path: str | Path) -> bool:
    """Whether the file begins as an image of IMAGE_FORMATS. Raises FileMissing and FileNotReadable."""
    try:
        with _decoding(path, MAX_PIXELS), _open(require_file(path)):
            return True
    except ImageTooLarge:
        return True
    except UnreadableImage:
        return False


def resize_longer_side(pixels: np.ndarray, max_px: int) -> np.ndarray:
    """Shrink uint8 (h, w, 3) or (h, w) to a longer side of `max_px`; a smaller image is returned as it is."""
    height, width = pixels.shape[:2]
    scale = max_px / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def even_size(pixels: np.ndarray) -> np.ndarray:
    """Make both sides even, as H.264 needs: an odd side loses its last row or column."""
    height, width = pixels.shape[:2]
    return pixels[: height // 2 * 2, : width // 2 * 2]


def write_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 (h, w, 3) as png, whole or not at all. Raises OutputNotWritable."""
    with replacing(path) as partial, write_errors(Path(path)):
        Image.fromarray(pixels).save(partial, format="png")


@contextmanager
def _decoding(path: str | Path, max_pixels: int) -> Generator[None, None, None]:
    """Name the file in what its decoder raises. On damaged files, decoders fail in many ways of their own
    (OSError, SyntaxError, ValueError, EOFError, struct.error; AVIF's by RuntimeError), so all are caught."""
    try:
        with warnings.catch_warnings():
            # Of damaged metadata, and of a limit of Pillow's own, in whose place MAX_PIXELS is.
            warnings.simplefilter("ignore")
            yield
    except SonimateError:
        raise
    except PermissionError as error:
        raise not_readable(path) from error
    except Image.DecompressionBombError as error:
        raise _too_large(path, max_pixels) from error
    except UnidentifiedImageError as error:
        raise UnreadableImage(
            f"{path} is not an image of a known format. Give a photograph such as a jpg or png file."
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(
            f"{path} cannot be decoded ({reason}). Download it again or export it as png or jpg."
        ) from error


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF data say; damaged ones say nothing, but the picture may still be whole."""
    image.load()
    try:
        turn = EXIF_TURNS.get(image.getexif().get(int(ExifTags.Base.Orientation), 1))
    except Exception:  # Pillow reads damaged EXIF data with errors of all kinds
        return image
    return image if turn is None else image.transpose(turn)


def _open(file: Path) -> Image.Image:
    """Open an image by the plugins for common formats, else by all plugins, which take longer to load."""
    Image.preinit()
    try:
        return Image.open(file, formats=[name for name in IMAGE_FORMATS if name in Image.OPEN])
    except UnidentifiedImageError:
        Image.init()
        if "HEIF" not in Image.OPEN:
            # Loaded only now: few pictures need it. An installation that was made before it lacks it.
            with suppress(ImportError):
                heif: Any = import_module("pi_heif")
                heif.register_heif_opener()
        return Image.open(file, formats=[name for name in IMAGE_FORMATS if name in Image.OPEN])


def _too_large(path: str | Path, max_pixels: int) -> ImageTooLarge:
    return ImageTooLarge(
        f"{path} has more than {max_pixels / 1e6:.0f} million pixels. "
        "Scale it down, to 2000 px a side for example."
    )


def _opaque_srgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB in sRGB, WHITE behind transparent parts."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    if image.mode not in ("RGB", "CMYK", "L"):
        profile = image.info.get("icc_profile")
        image = image.convert("RGB")
        image.info["icc_profile"] = profile
    image = _apply_profile(image)
    if alpha is None:
        return image
    page = Image.new("RGB", image.size, WHITE)
    page.paste(image, mask=alpha)
    return page


def _apply_profile(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    cms: Any = ImageCms  # the types of Pillow are not complete here
    try:
        return cms.profileToProfile(image, io.BytesIO(profile), cms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        # The profile is damaged or meant for other pixels: convert without it.
        return image.convert("RGB")
