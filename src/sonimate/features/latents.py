"""Shards of clips -> what the full model is trained on: the results of its frozen networks, computed once.

`sonimate features SHARDS -o DATA --model MODEL` writes latents-NNNNNN.tar, one for each shard of clips. A
sample keeps KEY.json, KEY.landmarks.npy and KEY.wav and gains these arrays, all float16:

KEY.latents.npy   (f, 4, h, w)  the autoencoder's latents of every second frame, 12.5 a second, unit variance
KEY.image.npy     (f, c)        CLIP's embedding of each of these frames, any of which may be the reference
KEY.hidden.npy    (t, l, d)     Whisper's hidden states, 50 a second

Shards appear when complete: a run that was stopped continues with the shards that are missing.
DATA/features.json records the model and the SHA-256 of each shard of clips; features of changed shards are
computed again.
"""

from __future__ import annotations

import io
import logging
import tarfile
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.registry import AUDIO_ENCODER, CLIP, VAE
from sonimate.checkpoints.store import load_audio_encoder, load_network, load_svd_codec
from sonimate.clock import VIDEO_FRAMES_PER_LATENT
from sonimate.codecs.svd.autoencoder import ENCODE_FRAMES, SVDCodec
from sonimate.codecs.svd.preparation import box_mask, clip_input, resize_to_multiple_of_64, unit_mask
from sonimate.configs import MAX_BUCKET
from sonimate.devices import choose_dtype
from sonimate.errors import FileMissing, InvalidCheckpoint
from sonimate.features.audio_features import cut_windows
from sonimate.footage.clip_id import ClipId
from sonimate.footage.shards import CLIPS, ShardClip, read_shards
from sonimate.media.files import replacing
from sonimate.media.folders import FolderRecord, file_sha256, files_fingerprint, fingerprint, locked
from sonimate.media.video import read_frames
from sonimate.types import Progress, no_progress

if TYPE_CHECKING:
    from sonimate.models.clip import ClipImageEncoder

LATENTS = "latents"
KEPT = (".json", ".landmarks.npy", ".wav")
RECORD, BUCKET_SCALE = "features.json", "bucket_scale"
FROZEN = (VAE.name, CLIP.name, AUDIO_ENCODER.name)
_log = logging.getLogger("sonimate")


@dataclass(frozen=True)
class FrozenNetworks:
    """The parts of a full model that are not trained."""

    codec: SVDCodec
    image_encoder: ClipImageEncoder
    audio_encoder: WhisperHiddenStates

    @classmethod
    def load(cls, model: Path, device: torch.device) -> FrozenNetworks:
        """Load them from the folder of a full model. Raises InvalidCheckpoint."""
        dtype = choose_dtype("auto", device, full=True)
        codec = load_svd_codec(model, dtype)
        encoder = load_network(model, CLIP, dtype)
        nn.ModuleList([*codec.networks, encoder]).eval().requires_grad_(False).to(device)
        return cls(codec, encoder, load_audio_encoder(model / AUDIO_ENCODER.name))

    def features(self, clip: ShardClip, size_px: int | None) -> dict[str, np.ndarray]:
        """The arrays to store for a clip, by suffix. size_px: see write_latents."""
        with NamedTemporaryFile(suffix=".mp4") as file:
            file.write(clip.read(".mp4"))
            file.flush()
            frames = list(read_frames(file.name, fps=None))[::VIDEO_FRAMES_PER_LATENT]
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
    """A clip with its features, whose arrays stay on disk: only what is indexed is read.

    bucket_scale: factors on the labels of head and expression, see sonimate.features.calibration.
    """

    shard: ShardClip
    bucket_scale: tuple[float, float] = (1.0, 1.0)

    @property
    def clip_id(self) -> ClipId:
        return self.shard.clip_id

    @property
    def speaker(self) -> str:
        return self.shard.record["speaker"]

    @property
    def buckets(self) -> np.ndarray:
        """Motion buckets (2,), head and expression, in the unit of the model."""
        labels = self.shard.record["buckets"]
        scaled = np.array([labels["head"], labels["expression"]]) * self.bucket_scale
        return scaled.astype(np.float32)

    @cached_property
    def latents(self) -> np.ndarray:
        """(f, 4, h, w) float16."""
        return _mapped(self.shard, ".latents.npy")

    @cached_property
    def image(self) -> np.ndarray:
        """(f, c) float16."""
        return _mapped(self.shard, ".image.npy")

    @cached_property
    def hidden(self) -> np.ndarray:
        """(t, l, d) float16."""
        return _mapped(self.shard, ".hidden.npy")

    def windows(self, frames: np.ndarray, count: int, before: int, layers: slice = slice(None)) -> np.ndarray:
        """Windows (f, count * l * d) of hidden states around frames at 12.5 fps; zeros beyond the ends of the
        sound. See cut_windows."""
        rows = self.hidden[:, layers].reshape(len(self.hidden), -1)
        zeros = np.zeros(rows.shape[1], rows.dtype)
        return cut_windows(rows, VIDEO_FRAMES_PER_LATENT * frames, count, before, zeros)

    def mask(self) -> torch.Tensor:
        """(H, W) in [0, 1], px of the encoded frames: the joint face box of the clip (paper eq. 1)."""
        side = self.shard.record["crop"]["size_px"]
        mask = box_mask(tuple(self.shard.record["face_box"]["box"]), width=side, height=side)
        return unit_mask(resize_to_multiple_of_64(mask, 8 * min(self.latents.shape[2:])))


def write_latents(
    shards: Path,
    out: Path,
    model: Path,
    *,
    device: torch.device,
    size_px: int | None,
    progress: Progress = no_progress,
) -> int:
    """Write the features of all clips; returns how many shards were written now.

    size_px: shorter side to scale frames to; None keeps it. progress: called after each clip with
    "features". Raises FileMissing, FolderOfAnotherRun, FolderInUse, InvalidCheckpoint, OutputNotWritable.
    """
    by_shard = {path: list(clips) for path, clips in groupby(read_shards(shards), lambda clip: clip.shard)}
    with locked(out):
        record = FolderRecord(out / RECORD)
        values = {"frozen": frozen_fingerprint(model), "size_px": size_px}
        stored = record.read()
        if stored is not None:
            record.check(values)
            values = stored | values
        sources = {path.name.replace(CLIPS, LATENTS, 1): file_sha256(path) for path in by_shard}
        kept = {name: sha for name, sha in values.get("shards", {}).items() if sources.get(name) == sha}
        for outdated in out.glob(f"{LATENTS}-*.tar"):
            if outdated.name not in kept:
                outdated.unlink()
        paths = zip((out / name for name in sources), by_shard.values(), strict=True)
        left = [(path, clips) for path, clips in paths if not path.exists()]
        record.write(values | {"shards": kept})
        if left:
            frozen = FrozenNetworks.load(model, device)
        done, total = 0, sum(len(clips) for _, clips in left)
        for path, clips in left:
            with replacing(path) as partial, tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
                for clip in clips:
                    _add_clip(tar, clip, frozen.features(clip, size_px))
                    done += 1
                    progress("features", done, total)
            kept[path.name] = sources[path.name]
            record.write(values | {"shards": kept})
    return len(left)


def read_latents(data: Path, model: Path) -> list[LatentClip]:
    """All clips of a folder of features, but those that a calibration puts above MAX_BUCKET.

    Raises FileMissing, and InvalidCheckpoint unless `model` has the frozen networks that made the features.
    """
    values = FolderRecord(data / RECORD).read()
    if values is None:
        raise FileMissing(f"{data} holds no features. Run `sonimate features` with --model first.")
    if values["frozen"] != frozen_fingerprint(model):
        raise InvalidCheckpoint(
            f"The features in {data} were computed by other networks than those of {model}. Compute them "
            "again, or start from the model that computed them."
        )
    scale = values.get(BUCKET_SCALE, (1.0, 1.0))
    clips = [LatentClip(clip, tuple(scale)) for clip in read_shards(data, LATENTS)]
    usable = [clip for clip in clips if clip.buckets.max() <= MAX_BUCKET]
    if len(usable) < len(clips):
        count = len(clips) - len(usable)
        _log.warning("%d clips move too much in the model's unit of motion buckets: left out", count)
    return usable


def _mapped(clip: ShardClip, suffix: str) -> np.ndarray:
    """An array of a shard, mapped from disk: only what is indexed is read."""
    offset, _ = clip.members[suffix]
    with clip.shard.open("rb") as file:
        file.seek(offset)
        version = np.lib.format.read_magic(file)
        assert version == (1, 0)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(clip.shard, dtype, "r", file.tell(), shape)


def frozen_fingerprint(model: Path) -> str:
    """Changes with the weights of the networks that features depend on."""
    return fingerprint(*(files_fingerprint(model / name, "*.safetensors") for name in FROZEN))


def _add_clip(tar: tarfile.TarFile, clip: ShardClip, features: dict[str, np.ndarray]) -> None:
    members = {suffix: clip.read(suffix) for suffix in KEPT}
    for suffix, array in features.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        members[suffix] = buffer.getvalue()
    for suffix, content in members.items():
        member = tarfile.TarInfo(clip.key + suffix)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
