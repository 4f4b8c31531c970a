"""SyncNet (Chung and Zisserman 2016), version 2 as VGG published it: one vector for five frames of a face,
one for the same 0.2 s of sound, near each other where lips and sound agree. Sync-D and Sync-C are read from
them.

Names of the tensors are those of the published file; syncnet-python gives the same vectors from equal
tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

FRAMES = 5
"""Frames in a window."""
MFCC_ROWS_PER_FRAME = 4
"""100 rows a second at 25 frames a second."""
SHIFT = 15
"""Largest shift of the sound, in frames, that is tried either way."""
Kernel = tuple[int, int, int]
BATCH = 16
"""Windows at a time: some 0.5 GB of activations."""


def _sound(channels: int, out: int, kernel: int | tuple[int, int], *, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, kernel, padding=padding), nn.BatchNorm2d(out), nn.ReLU()]


def _lips(
    channels: int, out: int, kernel: Kernel, *, stride: Kernel = (1, 1, 1), padding: Kernel = (0, 0, 0)
) -> list[nn.Module]:
    return [nn.Conv3d(channels, out, kernel, stride, padding), nn.BatchNorm3d(out), nn.ReLU()]


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


class SyncNetV2(nn.Module):
    """Windows of faces, and of sound, to vectors of 1024."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_sound(1, 64, 3),
            nn.MaxPool2d(1, 1),
            *_sound(64, 192, 3),
            nn.MaxPool2d(3, (1, 2)),
            *_sound(192, 384, 3),
            *_sound(384, 256, 3),
            *_sound(256, 256, 3),
            nn.MaxPool2d(3, 2),
            *_sound(256, 512, (5, 4), padding=0),
        )
        pool, halving, around = (1, 3, 3), (1, 2, 2), (0, 1, 1)
        self.netcnnlip = nn.Sequential(
            *_lips(3, 96, (5, 7, 7), stride=halving),
            nn.MaxPool3d(pool, halving),
            *_lips(96, 256, (1, 5, 5), stride=halving, padding=around),
            nn.MaxPool3d(pool, halving, around),
            *_lips(256, 256, pool, padding=around),
            *_lips(256, 256, pool, padding=around),
            *_lips(256, 256, pool, padding=around),
            nn.MaxPool3d(pool, halving),
            *_lips(256, 512, (1, 6, 6)),
        )
        self.netfcaud, self.netfclip = _head(), _head()

    def sound_vectors(self, windows: Tensor) -> Tensor:
        """MFCC windows (n, 1, 13, 20) -> (n, 1024)."""
        return self.netfcaud(self.netcnnaud(windows).flatten(1))

    def face_vectors(self, windows: Tensor) -> Tensor:
        """Face windows (n, 3, 5, 224, 224), BGR from 0 to 255 -> (n, 1024)."""
        return self.netfclip(self.netcnnlip(windows).flatten(1))


@dataclass(frozen=True)
class SyncScore:
    """confidence: Sync-C, the median distance over all shifts less the smallest; more is better. distance:
    Sync-D, the smallest; less is better. offset: frames by which the sound must be moved later for it."""

    confidence: float
    distance: float
    offset: int


@torch.inference_mode()
def clip_vectors(network: SyncNetV2, faces: np.ndarray, mfcc: np.ndarray) -> tuple[Tensor, Tensor]:
    """Vectors (n, 1024) of faces and of sound for each window of a clip.

    faces: uint8 RGB (f, 224, 224, 3) at 25 frames a second. mfcc: (rows, 13), 100 rows a second. As in VGG's
    evaluation, the last five frames start no window.
    """
    frames = min(len(faces), len(mfcc) // MFCC_ROWS_PER_FRAME)
    starts = range(frames - FRAMES)
    bgr = torch.as_tensor(np.ascontiguousarray(faces[..., ::-1])).permute(3, 0, 1, 2)
    rows = torch.as_tensor(mfcc.T.astype(np.float32))[None]
    length = FRAMES * MFCC_ROWS_PER_FRAME
    seen: list[Tensor] = []
    heard: list[Tensor] = []
    for first in range(0, len(starts), BATCH):
        batch = starts[first : first + BATCH]
        seen.append(network.face_vectors(torch.stack([bgr[:, at : at + FRAMES] for at in batch]).float()))
        sound = [rows[..., MFCC_ROWS_PER_FRAME * at : MFCC_ROWS_PER_FRAME * at + length] for at in batch]
        heard.append(network.sound_vectors(torch.stack(sound)))
    return torch.cat(seen), torch.cat(heard)


def sync_score(faces: Tensor, sound: Tensor, shift: int = SHIFT) -> SyncScore:
    """Score of the vectors (n, 1024) of a clip. Sound beyond its ends is a vector of zeros, as VGG does
    it."""
    padded = nn.functional.pad(sound, (0, 0, shift, shift))
    moved = padded.unfold(0, len(faces), 1).permute(0, 2, 1)
    distances = nn.functional.pairwise_distance(faces[None], moved).mean(1)
    nearest = int(distances.argmin())
    smallest = float(distances[nearest])
    return SyncScore(float(distances.median()) - smallest, smallest, shift - nearest)
