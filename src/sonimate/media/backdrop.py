"""What is shown behind a person who is drawn without their background: nothing, a colour, or a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageColor, ImageOps

from sonimate.configs import KEEP, TRANSPARENT
from sonimate.errors import OptionOutOfRange
from sonimate.media.image import read_image


@dataclass(frozen=True)
class Backdrop:
    """pixels: uint8 (h, w, 3) of any size; None: nothing, so that frames stay transparent."""

    pixels: np.ndarray | None

    def behind(self, frames: Iterator[np.ndarray], width: int, height: int) -> Iterator[np.ndarray]:
        """RGBA frames uint8 (height, width, 4) with the backdrop behind them, (height, width, 3), which
        covers all of a frame; where it is nothing, the frames as they are."""
        if self.pixels is None:
            yield from frames
            return
        filled = ImageOps.fit(Image.fromarray(self.pixels), (width, height), Image.Resampling.LANCZOS)
        for frame in frames:
            colours, share = np.ascontiguousarray(frame[..., :3]), np.ascontiguousarray(frame[..., 3])
            person, mask = Image.fromarray(colours), Image.fromarray(share)
            yield np.array(Image.composite(person, filled, mask))


def read_backdrop(text: str) -> Backdrop | None:
    """What `text` says: "keep" is None, "transparent", a picture file, or a colour as CSS writes it, such as
    "green" or "#00b140". A file comes before a colour of the same name.

    Raises OptionOutOfRange, and the errors of `read_image`.
    """
    if text == KEEP:
        return None
    if text == TRANSPARENT:
        return Backdrop(None)
    if os.path.isfile(text):
        return Backdrop(read_image(text))
    try:
        colour = ImageColor.getrgb(text)
    except ValueError:
        if os.path.splitext(text)[1] or os.path.dirname(text):
            return Backdrop(read_image(text))
        raise OptionOutOfRange(
            f"There is no picture {text} for the background, and no colour of this name. Give keep, "
            "transparent, a colour such as green or #00b140, or the path of a picture."
        ) from None
    if len(colour) != 3:
        raise OptionOutOfRange(
            f"The background {text} is half transparent. Give a colour without opacity, or transparent."
        )
    return Backdrop(np.array(colour, np.uint8).reshape(1, 1, 3))
