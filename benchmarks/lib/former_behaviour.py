"""`sonimate` with the two fixes undone that changed every video after commit 77ee5c3, for `against.py`.

Sound is padded to 30 s for Whisper again, and a checksum of the motion is the seed of the blinks again.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
from torch import Tensor

from sonimate.apps.cli import run_process
from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.codecs.mesh.motion import Motion
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.configs import DecodeOptions

init, motion = WhisperHiddenStates.__init__, MeshCodec.motion


def pad_to_30_seconds(self: WhisperHiddenStates, *arguments: object, **_: object) -> None:
    init(self, *arguments, own_length=False)  # pyright: ignore[reportArgumentType]


def motion_with_former_blinks(
    self: MeshCodec, latents: Tensor, warp: PortraitWarp, decoding: DecodeOptions
) -> Motion:
    moved = self.from_latents(latents[:, : self.latent_shape[0]])
    seed = zlib.crc32(np.round(moved.head, 3).tobytes())
    return motion(self, latents, warp, replace(decoding, seed=seed))


if __name__ == "__main__":
    WhisperHiddenStates.__init__ = pad_to_30_seconds
    MeshCodec.motion = motion_with_former_blinks  # pyright: ignore[reportAttributeAccessIssue]
    run_process()
