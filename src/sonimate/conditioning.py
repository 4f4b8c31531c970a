"""A portrait and a voice become what the UNet of the full model is conditioned on (NOTES 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sonimate.audio.windows import bucket_windows, token_windows
from sonimate.errors import AudioTooShort
from sonimate.face.geometry import MASK_AREA, Box, face_mask_box
from sonimate.models.audio_tokens import AudioToTokens
from sonimate.models.motion_bucket import AudioToBucket

SIZE_UNIT_PX = 64
"""The VAE shrinks by 8 and the UNet by 8 again."""

CLIP_SIZE_PX = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

FRAMES_AT_ONCE = 256
"""Windows overlap: all of a long recording at once would hold every hidden state up to 25 times."""


@dataclass(frozen=True)
class AudioConditions:
    """audio_tokens, null_audio_tokens: (n, k, c). motion_buckets: (n, 2), head then expression."""

    audio_tokens: Tensor
    null_audio_tokens: Tensor
    motion_buckets: Tensor


def resize_to_multiple_of_64(pixels: np.ndarray, image_size: int) -> np.ndarray:
    """Scale uint8 (h, w) or (h, w, 3) to a shorter side of about `image_size`, both sides multiples of 64.

    Lanczos; the aspect ratio gives way to the rounding (half to even), nothing is cropped (NOTES 2.1).
    """
    height, width = pixels.shape[:2]
    scale = image_size / min(width, height)
    new_width, new_height = (round(side * scale / SIZE_UNIT_PX) * SIZE_UNIT_PX for side in (width, height))
    return _resized(pixels, new_width, new_height)


def face_mask(box: Box, *, width: int, height: int, area: float = MASK_AREA) -> np.ndarray:
    """uint8 (height, width): 255 inside the enlarged face `box` (x0, y0, x1, y1), 0 elsewhere.

    Resize it with the image; the resampling softens its edges.
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

    Squashed without regard to the aspect ratio, and twice resampled, as the weights were used (NOTES 2.2).
    """
    image = _channels_first(_resized(pixels, CLIP_SIZE_PX, CLIP_SIZE_PX)) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
    return (image - mean) / std


@torch.no_grad()
def audio_conditions(
    hidden_states: Tensor,
    image_embed: Tensor,
    audio_to_tokens: AudioToTokens,
    audio_to_bucket: AudioToBucket,
    fps: float,
) -> AudioConditions:
    """Tokens and motion buckets of every frame that the sound fills (NOTES 1.4-1.6).

    hidden_states: (t, l, d) at 50 Hz. image_embed: (c,), of the portrait.

    Raises:
        AudioTooShort: the sound fills no frame.
    """
    tokens_of_windows = token_windows(hidden_states, fps).split(FRAMES_AT_ONCE)
    buckets_of_windows = bucket_windows(hidden_states, fps).split(FRAMES_AT_ONCE)
    if not len(tokens_of_windows[0]):
        seconds = len(hidden_states) / 50
        raise AudioTooShort(f"{seconds:.2f} s of sound fill no frame; give a recording of at least 0.2 s.")
    tokens = torch.cat([audio_to_tokens(windows) for windows in tokens_of_windows])
    buckets = torch.cat([audio_to_bucket(w[None], image_embed[None])[0] for w in buckets_of_windows])
    return AudioConditions(tokens, audio_to_tokens.null_tokens().expand_as(tokens), buckets)


def _resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def _channels_first(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
