"""Shards of clips -> what the full model trains on, computed once: the results of its frozen networks.

`sonimate features SHARDS -o DATA --model MODEL` writes latents-NNNNNN.tar, one for each
shard of clips. A sample keeps KEY.json, KEY.landmarks.npy and KEY.wav and gains, all float16,

KEY.latents.npy   (f, 4, h, w)  the autoencoder's latents of every second frame, 12.5 a second, unit variance
KEY.image.npy     (f, c)        CLIP's embedding of each of these frames, any of which may be the reference
KEY.hidden.npy    (t, l, d)     Whisper's hidden states, 50 a second

Shards appear when complete: a run that was stopped goes on with those that are left. DATA/features.json knows
which model and which shards of clips they were made of; where clips have changed since, they are made again.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.registry import AUDIO_ENCODER, CLIP
from sonimate.checkpoints.store import load_audio_encoder, load_network, load_svd_codec
from sonimate.clock import VIDEO_FRAMES_PER_LATENT
from sonimate.codecs.svd.autoencoder import ENCODE_FRAMES, SVDCodec
from sonimate.codecs.svd.preparation import box_mask, clip_input, resize_to_multiple_of_64, unit_mask
from sonimate.devices import choose_dtype
from sonimate.errors import FileMissing, InvalidCheckpoint
from sonimate.footage.clip_id import ClipId
from sonimate.footage.shards import CLIPS, ShardClip, read_shards
from sonimate.media.files import replacing, write_errors
from sonimate.media.video import read_frames

if TYPE_CHECKING:
    from sonimate.models.clip import ClipImageEncoder

LATENTS = "latents"
KEPT = (".json", ".landmarks.npy", ".wav")
ABOUT = "features.json"
FROZEN = ("vae", "image_encoder", "audio_encoder")


@dataclass(frozen=True)
class FrozenNetworks:
    """The parts of a full model that are not trained."""

    codec: SVDCodec
    image_encoder: ClipImageEncoder
    audio_encoder: WhisperHiddenStates

    @classmethod
    def load(cls, model: Path, device: torch.device) -> FrozenNetworks:
        """Of a full model's folder. Raises InvalidCheckpoint."""
        dtype = choose_dtype("auto", device, full=True)
        codec = load_svd_codec(model, dtype)
        encoder = load_network(model, CLIP, dtype)
        nn.ModuleList([*codec.networks, encoder]).eval().requires_grad_(False).to(device)
        return cls(codec, encoder, load_audio_encoder(model / AUDIO_ENCODER.name))

    def features(self, clip: ShardClip, size_px: int | None) -> dict[str, np.ndarray]:
        """What is stored of a clip, by suffix. size_px: shorter side to scale frames to; None keeps it."""
        frames = list(_frames(clip))[::VIDEO_FRAMES_PER_LATENT]
        frames = [resize_to_multiple_of_64(frame, size_px or min(frame.shape[:2])) for frame in frames]
        arrays = {
            ".latents.npy": self.codec.encode(frames),
            ".image.npy": self.embeddings(frames),
            ".hidden.npy": self.audio_encoder(clip.sound()),
        }
        return {suffix: array.half().numpy() for suffix, array in arrays.items()}

    @torch.no_grad()
    def embeddings(self, frames: list[np.ndarray]) -> torch.Tensor:
        """uint8 frames (h, w, 3) -> (n, c), float32 on the CPU."""
        weight = next(self.image_encoder.parameters())
        starts = range(0, len(frames), ENCODE_FRAMES)
        chunks = (torch.stack([clip_input(f) for f in frames[s : s + ENCODE_FRAMES]]) for s in starts)
        return torch.cat([self.image_encoder(chunk.to(weight))[:, 0].float().cpu() for chunk in chunks])


@dataclass(frozen=True)
class LatentClip:
    """A clip of what this module writes. Arrays are read where they are asked for, and no further."""

    shard: ShardClip

    @property
    def clip_id(self) -> ClipId:
        return self.shard.clip_id

    @property
    def speaker(self) -> str:
        return self.shard.record["speaker"]

    @property
    def buckets(self) -> np.ndarray:
        """(2,) head and expression."""
        found = self.shard.record["buckets"]
        return np.array([found["head"], found["expression"]], np.float32)

    @cached_property
    def latents(self) -> np.ndarray:
        """(f, 4, h, w) float16, on disk."""
        return mapped(self.shard, ".latents.npy")

    @cached_property
    def image(self) -> np.ndarray:
        """(f, c) float16, on disk."""
        return mapped(self.shard, ".image.npy")

    @cached_property
    def hidden(self) -> np.ndarray:
        """(t, l, d) float16, on disk."""
        return mapped(self.shard, ".hidden.npy")

    def mask(self) -> torch.Tensor:
        """(H, W) in [0, 1], px of the encoded frames: the joint face box of the clip (paper eq. 1)."""
        side = self.shard.record["crop"]["size_px"]
        mask = box_mask(tuple(self.shard.record["face_box"]["box"]), width=side, height=side)
        return unit_mask(resize_to_multiple_of_64(mask, 8 * min(self.latents.shape[2:])))


def write_latents(shards: Path, out: Path, model: Path, *, device: torch.device, size_px: int | None) -> int:
    """Write the features of all clips; returns how many shards were written now. Raises FileMissing,
    InvalidCheckpoint, OutputNotWritable."""
    by_shard: dict[Path, list[ShardClip]] = {}
    for clip in read_shards(shards, CLIPS):
        by_shard.setdefault(clip.shard, []).append(clip)
    with write_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    about = {"frozen": digest_of_frozen(model), "size_px": size_px}
    known = json.loads((out / ABOUT).read_text()) if (out / ABOUT).exists() else about
    if any(known[name] != value for name, value in about.items()):
        raise InvalidCheckpoint(f"{out} holds features of another model or size. Choose another folder.")
    sources = {path.name.replace(CLIPS, LATENTS, 1): digest_of_file(path) for path in by_shard}
    made = {name: digest for name, digest in known.get("shards", {}).items() if sources.get(name) == digest}
    for stale in out.glob(f"{LATENTS}-*.tar"):
        if stale.name not in made:
            stale.unlink()
    todo = [
        (path, clips)
        for path, clips in zip((out / name for name in sources), by_shard.values(), strict=True)
        if not path.exists()
    ]
    if todo:
        frozen = FrozenNetworks.load(model, device)
    _remember(out, about, made)
    for path, clips in todo:
        with replacing(path) as partial, tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
            for clip in clips:
                for suffix in KEPT:
                    _add(tar, clip.key + suffix, clip.read(suffix))
                for suffix, array in frozen.features(clip, size_px).items():
                    buffer = io.BytesIO()
                    np.save(buffer, array)
                    _add(tar, clip.key + suffix, buffer.getvalue())
                print(f"{path.name}: {clip.clip_id}", file=sys.stderr, flush=True)
        made[path.name] = sources[path.name]
        _remember(out, about, made)
    return len(todo)


def read_latents(data: Path, model: Path) -> list[LatentClip]:
    """All clips of a folder.

    Raises FileMissing, and InvalidCheckpoint unless `model` has the frozen networks that made the features.
    """
    if not (data / ABOUT).exists():
        raise FileMissing(f"{data} holds no features. Run `sonimate features` with --model first.")
    if json.loads((data / ABOUT).read_text())["frozen"] != digest_of_frozen(model):
        raise InvalidCheckpoint(
            f"The features in {data} were made by other networks than those of {model}. Make them again, or "
            "start from the model that made them."
        )
    return [LatentClip(clip) for clip in read_shards(data, LATENTS)]


def mapped(clip: ShardClip, suffix: str) -> np.ndarray:
    """An array of a shard as it lies on disk: only what is indexed is read."""
    offset, _ = clip.members[suffix]
    with clip.shard.open("rb") as file:
        file.seek(offset)
        version = np.lib.format.read_magic(file)
        assert version == (1, 0)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(clip.shard, dtype, "r", file.tell(), shape)


def digest_of_frozen(model: Path) -> str:
    """Changes with the weights of the networks that features depend on."""
    digest = hashlib.sha256()
    for name in FROZEN:
        for path in sorted((model / name).glob("*.safetensors")):
            digest.update(bytes.fromhex(digest_of_file(path)))
    return digest.hexdigest()


def digest_of_file(path: Path) -> str:
    """sha256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remember(out: Path, about: dict[str, Any], made: dict[str, str]) -> None:
    """made: shard of features -> digest of the shard of clips it was made of."""
    with replacing(out / ABOUT) as partial:
        partial.write_text(json.dumps(about | {"shards": made}, indent=1) + "\n")


def _frames(clip: ShardClip) -> Iterator[np.ndarray]:
    with NamedTemporaryFile(suffix=".mp4") as file:
        file.write(clip.read(".mp4"))
        file.flush()
        yield from read_frames(file.name, fps=None)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
