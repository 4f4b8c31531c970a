"""Image files to arrays and back: upright, opaque, 8-bit sRGB."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from sonimate.errors import ImageTooLarge, UnreadableImage
from sonimate.media.files import replacing, require_file, write_errors

MAX_PIXELS = 120_000_000
"""Allows photographs of 108 MP phones and 102 MP medium-format cameras; decoding one takes at most 2 GB."""

WHITE = (255, 255, 255)
"""The colour behind a transparent portrait: that of the page for which it was cut out."""

IMAGE_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "HEIF", "JXL", "JPEG2000", "ICO", "ICNS"),
    *("DDS", "PCD", "PCX", "PPM", "PSD", "QOI", "SGI", "SUN", "TGA", "XBM", "XPM"),
)
"""Pillow's names of the formats that are read; HEIF and JXL need a plugin. Left out are formats that Pillow
hands to another program (EPS to Ghostscript), and containers of scientific data."""


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image of IMAGE_FORMATS, recognised by its content, as uint8 sRGB (h, w, 3).

    EXIF rotation is applied, colour profiles are converted, transparent parts become white, 16-bit grey is
    scaled to 8 bits, and of an animation the first frame is taken.
    Raises FileMissing, ImageTooLarge (from the header, before any pixel is decoded), or UnreadableImage
    (not an image, truncated, or of a pixel type without a defined range).
    """
    file = require_file(path)
    try:
        with warnings.catch_warnings():
            # Pillow warns of a limit of its own; MAX_PIXELS takes its place.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = _open(file)
        with image:
            if image.width * image.height > max_pixels:
                raise _too_large(path, max_pixels)
            ImageOps.exif_transpose(image, in_place=True)
            return np.array(_opaque_srgb(image))
    except Image.DecompressionBombError as error:
        raise _too_large(path, max_pixels) from error
    except UnidentifiedImageError as error:
        raise UnreadableImage(
            f"{path} is not an image of a known format. Give a photograph such as a jpg or png file."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise UnreadableImage(
            f"{path} cannot be decoded ({error}). Download it again or export it as png or jpg."
        ) from error


def resize_longer_side(pixels: np.ndarray, max_px: int) -> np.ndarray:
    """Shrink uint8 (h, w, 3) to a longer side of `max_px`; a smaller image is returned as it is."""
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


def _open(file: Path) -> Image.Image:
    """Open an image by the plugins for common formats, else by all plugins, which take longer to load."""
    Image.preinit()
    try:
        return Image.open(file, formats=[name for name in IMAGE_FORMATS if name in Image.OPEN])
    except UnidentifiedImageError:
        Image.init()
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
