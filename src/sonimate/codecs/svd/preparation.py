"""Pictures and face boxes -> inputs of the full model (NOTES 2.1-2.3)."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sonimate.face.geometry import MASK_AREA, face_mask_box, rounded_size
from sonimate.types import Box

CLIP_SIZE_PX = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def resize_to_multiple_of_64(pixels: np.ndarray, image_size: int) -> np.ndarray:
    """Scale uint8 (h, w) or (h, w, 3) to a shorter side of about `image_size`, both sides multiples of 64.

    Lanczos, nothing is cropped; rounding (half to even) changes the aspect ratio a little (NOTES 2.1).
    """
    height, width = pixels.shape[:2]
    return _resized(pixels, *rounded_size(width, height, image_size))


def box_mask(box: Box, *, width: int, height: int, area: float = MASK_AREA) -> np.ndarray:
    """Face mask, uint8 (height, width): 255 inside the enlarged face `box` (x0, y0, x1, y1), 0 elsewhere.

    It is resized together with the image, which softens its edges.
    """
    mask = np.zeros((height, width), np.uint8)
    x0, y0, x1, y1 = face_mask_box(box, width=width, height=height, area=area)
    mask[y0:y1, x0:x1] = 255
    return mask


def signed_image(pixels: np.ndarray) -> Tensor:
    """uint8 (h, w, 3) -> (3, h, w) in [-1, 1], the VAE's input."""
    return _channels_first(pixels) / 127.5 - 1


def unit_mask(mask: np.ndarray) -> Tensor:
    """uint8 (h, w) -> (h, w) in [0, 1]."""
    return torch.from_numpy(mask.astype(np.float32)) / 255


def clip_input(pixels: np.ndarray) -> Tensor:
    """uint8 (h, w, 3), already resized for the VAE -> (3, 224, 224), CLIP's input.

    The aspect ratio is not kept and the picture is resampled twice, as for the released weights (NOTES 2.2).
    """
    image = _channels_first(_resized(pixels, CLIP_SIZE_PX, CLIP_SIZE_PX)) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
    return (image - mean) / std


def _resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def _channels_first(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
