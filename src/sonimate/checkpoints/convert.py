"""Released checkpoints -> a model folder, tensor by tensor. All files are checked before any is written."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sonimate.checkpoints.architecture import audio_to_bucket_config, audio_tokens_config, expected_shapes
from sonimate.checkpoints.archive import TensorFile, open_tensors
from sonimate.checkpoints.component_layout import Class, weights_path
from sonimate.checkpoints.keymap import KEY_MAPS
from sonimate.checkpoints.manifest import Shapes, check_shapes
from sonimate.checkpoints.release import CONFIG, Release
from sonimate.checkpoints.saved import write_index
from sonimate.checkpoints.verify import verify_component
from sonimate.checkpoints.writer import cast, write_tensors
from sonimate.errors import InvalidCheckpoint, OutputNotWritable
from sonimate.media.files import require_space, require_writable, write_errors
from sonimate.models.rife import IFNetConfig
from sonimate.models.unet import UNetConfig
from sonimate.types import Progress, no_progress

CLASSES: dict[str, Class] = {
    "unet": ("sonimate", "SpatioTemporalUNet"),
    "audio_to_tokens": ("sonimate", "AudioToTokens"),
    "audio_to_bucket": ("sonimate", "AudioToBucket"),
    "image_encoder": ("transformers", "CLIPVisionModelWithProjection"),
    "audio_encoder": ("transformers", "WhisperEncoder"),
    "vae": ("diffusers", "AutoencoderKLTemporalDecoder"),
    "interpolator": ("sonimate", "IFNet"),
}

HALVED = {"unet", "image_encoder", "vae"}
"""Components that take the wanted type; the others stay float32 (NOTES 1.7)."""

_ABOUT_THE_FILE = {"_name_or_path", "_commit_hash", "torch_dtype", "dtype"}
"""Settings of a config.json that are no longer true of a converted copy."""


@dataclass(frozen=True)
class Part:
    """A component to write. names: our name of a tensor -> the file's. shapes: by our names."""

    name: str
    file: TensorFile
    names: dict[str, str]
    shapes: Shapes
    config: dict[str, Any]
    dtype: torch.dtype

    @property
    def size_bytes(self) -> int:
        return sum(map(math.prod, self.shapes.values())) * self.dtype.itemsize

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The converted tensors. Raises InvalidCheckpoint, naming the tensor that cannot be converted."""
        ours = {theirs: name for name, theirs in self.names.items()}
        for theirs, tensor in self.file.read(ours):
            yield ours[theirs], cast(tensor, self.dtype, f"{theirs} of {self.file.path}")


def convert(
    release: Release, output: Path, *, dtype: torch.dtype = torch.float16, progress: Progress = no_progress
) -> None:
    """Write `release` as the model folder `output`, which appears when it is complete and verified.

    dtype: of HALVED. progress: called with "check", then components' names, then "verify".

    Raises:
        OutputNotWritable: `output` holds something, or its disk has too little space.
        FileMissing, InvalidCheckpoint: a released file is missing, or is not what it should be.
    """
    output = output.resolve()
    require_new(output)
    parts = plan(release, dtype, progress)
    require_space(output.parent, sum(part.size_bytes for part in parts))
    with complete_folder(output) as folder:
        for part in parts:
            write_part(part, folder / part.name, progress)
        with write_errors(output):
            write_index(folder)
        for done, part in enumerate(parts, start=1):
            verify_component(folder / part.name, CLASSES[part.name], dtype=part.dtype)
            progress("verify", done, len(parts))


def plan(release: Release, dtype: torch.dtype, progress: Progress = no_progress) -> list[Part]:
    """Check the names and shapes of all files. Raises FileMissing or InvalidCheckpoint."""
    paths, configs = release.files(), release.configs()
    files = {name: open_tensors(paths[name], KEY_MAPS[name].wrappers) for name in CLASSES if name in paths}
    names = {name: KEY_MAPS[name].rename(file.shapes) for name, file in files.items()}
    found = {
        name: {ours: file.shapes[theirs] for ours, theirs in names[name].items()}
        for name, file in files.items()
    }
    configs = complete_configs(configs, found)
    for done, (name, file) in enumerate(files.items(), start=1):
        check_shapes(found[name], expected_shapes(CLASSES[name], configs[name], name), str(file.path))
        progress("check", done, len(files))
    check_fit(configs, found)
    return [
        Part(name, file, names[name], found[name], configs[name], dtype if name in HALVED else torch.float32)
        for name, file in files.items()
    ]


def complete_configs(
    configs: Mapping[str, dict[str, Any]], found: Mapping[str, Shapes]
) -> dict[str, dict[str, Any]]:
    """What config.json will hold, by component; that of the audio networks follows from their tensors."""
    tokens = audio_tokens_config(found["audio_to_tokens"])
    bucket = audio_to_bucket_config(found["audio_to_bucket"], tokens.channels)
    ours = {
        "unet": unet_config(configs.get("unet", {})),
        "audio_to_tokens": tokens,
        "audio_to_bucket": bucket,
        "interpolator": IFNetConfig(),
    }
    own = {name: {"_class_name": CLASSES[name][1], **asdict(config)} for name, config in ours.items()}
    given = {
        name: {key: value for key, value in config.items() if key not in _ABOUT_THE_FILE}
        for name, config in configs.items()
    }
    return given | own


def unet_config(values: Mapping[str, Any]) -> UNetConfig:
    """SVD's settings; without any, the full model's. Raises InvalidCheckpoint."""
    try:
        return UNetConfig.from_dict(values)
    except TypeError as error:
        raise InvalidCheckpoint(f"unet/config.json does not fit ({error}). Copy it again.") from error


def check_fit(configs: Mapping[str, Mapping[str, Any]], found: Mapping[str, Shapes]) -> None:
    """Raise InvalidCheckpoint unless what one component makes is as wide as what the next one takes."""
    unet, tokens, bucket = configs["unet"], configs["audio_to_tokens"], configs["audio_to_bucket"]
    features = found["audio_encoder"]["layer_norm.weight"][0]
    image = found["image_encoder"]["visual_projection.weight"][0]
    moments = found["vae"]["quant_conv.bias"][0]  # as many as noisy and reference latents have channels
    for what, made, taken in (
        ("Whisper's features for audio2token", features, tokens["channels"]),
        ("audio tokens for the UNet", tokens["output_dim"], unet["cross_attention_dim"]),
        ("image embedding for the UNet", image, unet["cross_attention_dim"]),
        ("image embedding for audio2bucket", image, bucket["clip_channels"]),
        ("latents for the UNet", moments, unet["in_channels"]),
    ):
        if made != taken:
            raise InvalidCheckpoint(
                f"The files do not belong together: {what}: {made} made, {taken} taken. "
                "Give whisper-tiny, Stable Video Diffusion XT, and the networks of one release."
            )


def write_part(part: Part, folder: Path, progress: Progress) -> None:
    """Write a component's config.json and tensors, in the form that its library loads."""
    with write_errors(folder):
        folder.mkdir()
        (folder / CONFIG).write_text(json.dumps(part.config, indent=2) + "\n", encoding="utf-8")
    path = weights_path(folder, CLASSES[part.name][0])
    write_tensors(path, part.shapes, part.dtype, _followed(part, progress))


def _followed(part: Part, progress: Progress) -> Iterator[tuple[str, Tensor]]:
    for done, item in enumerate(part.tensors(), start=1):
        yield item
        progress(part.name, done, len(part.shapes))


def require_new(output: Path) -> None:
    """Raise OutputNotWritable unless `output` can become a folder: it does not exist, or is an empty one."""
    if not output.exists():
        require_writable(output)
    elif not output.is_dir() or any(output.iterdir()):
        raise OutputNotWritable(f"{output} exists already. Choose a folder that does not, or an empty one.")


@contextmanager
def complete_folder(output: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `output`, which takes that name on success and is deleted on failure."""
    partial = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with write_errors(output):
            partial.mkdir()
        yield partial
        with write_errors(output):
            if output.is_dir():
                output.rmdir()
            partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
