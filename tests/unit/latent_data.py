"""Clips of the full model's data, made up: latents whose pattern follows the sound, without any pixels."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np

from sonimate.features.latents import LATENTS, RECORD, LatentClip, frozen_fingerprint
from sonimate.footage.clip_id import ClipId
from sonimate.footage.sample import RESULTS_VERSION
from sonimate.footage.shards import read_shards

LAYERS, DIM = 5, 4
SIDE = 8
"""Of the latents."""


def opening(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(frames,) of unit variance, smooth as mouths are."""
    curve = np.convolve(rng.normal(size=frames + 2), [0.5, 1.0, 0.5], "valid")
    return (curve - curve.mean()) / curve.std()


def pattern() -> np.ndarray:
    """(4, SIDE, SIDE): the change that an open mouth makes."""
    change = np.random.default_rng(99).normal(size=(4, SIDE, SIDE))
    return change / np.sqrt((change**2).mean())


def write_latent_data(
    folder: Path, *, count: int = 2, frames: int = 14, width: int = 8, model: Path | None = None
) -> list[LatentClip]:
    """Clips "clip0", "clip1", ... of speakers "s0", "s1", ...; `width` of the image embedding. Hidden states
    are proportional to the opening; latents are a base of each clip plus the opening times the pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{LATENTS}-000000.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for index in range(count):
            for suffix, content in _members(index, frames, width).items():
                member = tarfile.TarInfo(f"clip{index}{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    if model is not None:
        about = {"frozen": frozen_fingerprint(model), "size_px": None}
        (folder / RECORD).write_text(json.dumps(about))
    return [LatentClip(clip) for clip in read_shards(folder, LATENTS)]


def _members(index: int, frames: int, width: int) -> dict[str, bytes]:
    rng = np.random.default_rng(index)
    curve = opening(frames, rng)
    base = rng.normal(size=(1, 4, SIDE, SIDE))
    direction = np.random.default_rng(7).normal(size=(LAYERS, DIM))
    hidden = np.repeat(curve, 4)[:, None, None] * direction
    record = {
        "version": RESULTS_VERSION,
        "clip": str(ClipId(f"clip{index}.mp4")),
        "speaker": f"s{index}",
        "crop": {"size_px": 8 * SIDE},
        "face_box": {"box": [0.0, 0.0, 8.0 * SIDE, 8.0 * SIDE]},
        "buckets": {"head": 10.0 + index, "expression": 30.0 + index},
    }
    arrays = {
        ".latents.npy": (0.8 * base + 0.8 * curve[:, None, None, None] * pattern()).astype(np.float16),
        ".image.npy": rng.normal(size=(frames, width)).astype(np.float16),
        ".hidden.npy": hidden.astype(np.float16),
    }
    members = {".json": json.dumps(record).encode()}
    for suffix, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        members[suffix] = buffer.getvalue()
    return members
