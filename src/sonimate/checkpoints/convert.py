"""Released checkpoints -> a model folder, tensor by tensor; and checks of a model folder's files.

All files are checked before the first is written.
"""

from __future__ import annotations

import logging
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

from sonimate.checkpoints.registry import (
    FULL_COMPONENTS,
    INTERPOLATOR,
    MESH_CODEC,
    Component,
    read_config,
    read_index,
)
from sonimate.checkpoints.release import KEY_MAPS, Release
from sonimate.checkpoints.store import (
    check_shapes,
    expected_shapes,
    load_mesh_codec,
    write_config,
    write_index,
)
from sonimate.checkpoints.stream import SafetensorsFile, Shapes, TensorFile, cast, open_tensors, write_tensors
from sonimate.errors import InvalidCheckpoint, OutputNotWritable
from sonimate.media.files import require_space, require_writable, write_errors
from sonimate.models.audio_networks import AudioToBucketConfig, AudioTokensConfig
from sonimate.models.rife import IFNetConfig
from sonimate.models.unet import UNetConfig
from sonimate.types import Progress, no_progress

_log = logging.getLogger("sonimate")

_ABOUT_THE_FILE = {"_name_or_path", "_commit_hash", "torch_dtype", "dtype"}
"""Settings of a config.json that describe the original file, and not its converted copy."""


@dataclass(frozen=True)
class Part:
    """A component to write. names: our name of a tensor -> the file's. shapes: by our names."""

    component: Component
    file: TensorFile
    names: dict[str, str]
    shapes: Shapes
    settings: dict[str, Any]
    dtype: torch.dtype

    @property
    def size_bytes(self) -> int:
        return sum(map(math.prod, self.shapes.values())) * self.dtype.itemsize


def convert(
    release: Release, output: Path, *, dtype: torch.dtype = torch.float16, progress: Progress = no_progress
) -> None:
    """Write `release` as the model folder `output`, which appears when it is complete and verified.

    dtype: of the large components; the others stay float32. progress: called with "check", then components'
    names, then "verify".

    Raises:
        OutputNotWritable: `output` holds something, or its disk has too little space.
        FileMissing, InvalidCheckpoint: a released file is missing, or is not what it should be.
    """
    output = output.resolve()
    require_new(output)
    parts = plan_parts(release, dtype, progress)
    if INTERPOLATOR not in [part.component for part in parts]:
        _log.warning(
            "RIFE's flownet.pkl was not found, so the model has no interpolator: optical flow, which is less "
            "exact, will make every second frame. To include RIFE, give the file by --rife."
        )
    require_space(output.parent, sum(part.size_bytes for part in parts))
    with complete_folder(output) as folder:
        for part in parts:
            write_part(part, folder / part.component.name, progress)
        write_index(folder, [part.component for part in parts])
        for done, part in enumerate(parts, start=1):
            verify_component(folder / part.component.name, part.component, dtype=part.dtype)
            progress("verify", done, len(parts))


def plan_parts(release: Release, dtype: torch.dtype, progress: Progress = no_progress) -> list[Part]:
    """Check the names and shapes of all files. Raises FileMissing or InvalidCheckpoint."""
    paths, configs = release.files(), release.configs()
    components = {part.name: part for part in FULL_COMPONENTS if part.name in paths}
    files = {name: open_tensors(paths[name], KEY_MAPS[name].wrappers) for name in components}
    names = {name: KEY_MAPS[name].rename(file.shapes) for name, file in files.items()}
    found = {
        name: {ours: file.shapes[theirs] for ours, theirs in names[name].items()}
        for name, file in files.items()
    }
    configs = complete_configs(configs, found)
    for done, (name, file) in enumerate(files.items(), start=1):
        check_shapes(found[name], expected_shapes(components[name], configs[name], name), str(file.path))
        progress("check", done, len(files))
    check_fit(configs, found)
    return [
        Part(
            component,
            files[name],
            names[name],
            found[name],
            configs[name],
            dtype if component.large else torch.float32,
        )
        for name, component in components.items()
    ]


def complete_configs(
    configs: Mapping[str, dict[str, Any]], found: Mapping[str, Shapes]
) -> dict[str, dict[str, Any]]:
    """What config.json will hold, by component. The sizes of the audio networks follow from their tensors."""
    tokens = audio_tokens_config(found["audio_to_tokens"])
    bucket = audio_to_bucket_config(found["audio_to_bucket"], tokens.channels)
    ours = {
        "unet": unet_config(configs.get("unet", {})),
        "audio_to_tokens": tokens,
        "audio_to_bucket": bucket,
        "interpolator": IFNetConfig(),
    }
    own = {
        part.name: {"_class_name": part.class_name, **asdict(ours[part.name])}
        for part in FULL_COMPONENTS
        if part.name in ours
    }
    given = {
        name: {key: value for key, value in config.items() if key not in _ABOUT_THE_FILE}
        for name, config in configs.items()
    }
    return given | own


def audio_tokens_config(shapes: Shapes) -> AudioTokensConfig:
    """Settings of the network with tensors of these shapes; other sizes are the full model's."""
    full = AudioTokensConfig()
    output_dim = _size(shapes, "norm.weight", full.output_dim)
    return AudioTokensConfig(
        channels=_size(shapes, "proj1.weight", full.feature_dim, parts=full.seq_len * full.blocks),
        intermediate_dim=_size(shapes, "proj1.bias", full.intermediate_dim),
        output_dim=output_dim,
        context_tokens=_size(shapes, "proj3.bias", full.context_tokens * full.output_dim, parts=output_dim),
    )


def audio_to_bucket_config(shapes: Shapes, channels: int) -> AudioToBucketConfig:
    """The same for AudioToBucket, whose hidden states have `channels` features."""
    full = AudioToBucketConfig()
    features = full.seq_len * full.blocks * channels
    return AudioToBucketConfig(
        channels=channels,
        intermediate_dim=_size(shapes, "proj1.bias", full.intermediate_dim),
        clip_channels=_size(shapes, "proj1.weight", features + full.clip_channels) - features,
    )


def _size(shapes: Shapes, name: str, default: int, parts: int = 1) -> int:
    """The length of a tensor's last axis divided by `parts`, at least 1; `default` if there is no tensor."""
    return max((shapes.get(name) or (default,))[-1] // parts, 1)


def unet_config(values: Mapping[str, Any]) -> UNetConfig:
    """SVD's settings; without any, the full model's. Raises InvalidCheckpoint."""
    try:
        return UNetConfig.from_dict(values)
    except TypeError as error:
        raise InvalidCheckpoint(f"unet/config.json does not fit ({error}). Copy it again.") from error


def check_fit(configs: Mapping[str, Mapping[str, Any]], found: Mapping[str, Shapes]) -> None:
    """Raise InvalidCheckpoint unless each component's output is as wide as the input of the next one."""
    unet, tokens, bucket = configs["unet"], configs["audio_to_tokens"], configs["audio_to_bucket"]
    features = found["audio_encoder"]["layer_norm.weight"][0]
    image = found["image_encoder"]["visual_projection.weight"][0]
    moments = found["vae"]["quant_conv.bias"][0]  # mean and variance: as many as noisy and reference latents
    for what, output, input_ in (
        ("Whisper's features, the input of audio2token,", features, tokens["channels"]),
        ("audio tokens, an input of the UNet,", tokens["output_dim"], unet["cross_attention_dim"]),
        ("image embeddings, an input of the UNet,", image, unet["cross_attention_dim"]),
        ("image embeddings, an input of audio2bucket,", image, bucket["clip_channels"]),
        ("latents, an input of the UNet,", moments, unet["in_channels"]),
    ):
        if output != input_:
            raise InvalidCheckpoint(
                f"The files do not belong together: {what} have the width {output}, not {input_}. "
                "Give whisper-tiny, Stable Video Diffusion XT, and the networks of one release."
            )


def write_part(part: Part, folder: Path, progress: Progress) -> None:
    """Write a component's config.json and tensors, in the form that its library loads.

    Raises InvalidCheckpoint, naming the tensor that cannot be converted.
    """
    ours = {theirs: name for name, theirs in part.names.items()}

    def converted() -> Iterator[tuple[str, Tensor]]:
        for done, (theirs, tensor) in enumerate(part.file.read(ours), start=1):
            yield ours[theirs], cast(tensor, part.dtype, f"{theirs} of {part.file.path}")
            progress(part.component.name, done, len(part.shapes))

    write_config(folder, part.settings)
    write_tensors(folder / part.component.weights, part.shapes, part.dtype, converted())


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


def verify_model(folder: Path, progress: Progress = no_progress) -> dict[str, int]:
    """Check every component of a model folder; returns the number of tensors with a checksum, by component.

    Raises InvalidCheckpoint or FileMissing, naming the file and the tensor.
    """
    return {part.name: verify_component(folder / part.name, part, progress) for part in read_index(folder)}


def open_component(folder: Path, component: Component) -> SafetensorsFile:
    """A component's file, if its names and shapes are those that config.json describes; reads no value.

    Raises as `verify_model` does.
    """
    file = SafetensorsFile(folder / component.weights)
    if component is MESH_CODEC:
        load_mesh_codec(folder)
    else:
        check_shapes(
            file.shapes, expected_shapes(component, read_config(folder), str(folder)), str(file.path)
        )
    return file


def verify_component(
    folder: Path, component: Component, progress: Progress = no_progress, dtype: torch.dtype | None = None
) -> int:
    """Check one component, and that it has the type `dtype` if given; returns its tensors with a checksum.

    Raises as `verify_model` does.
    """
    file = open_component(folder, component)
    for done, (name, tensor) in enumerate(file.read(file.shapes), start=1):
        if dtype not in (None, tensor.dtype):
            raise InvalidCheckpoint(f"{file.path}: {name} is {tensor.dtype}, not {dtype}. Convert it again.")
        if not tensor.isfinite().all():
            raise InvalidCheckpoint(f"{file.path} is damaged: {name} holds NaN or infinity. Copy it again.")
        file.check(name, tensor)
        progress(component.name, done, len(file.shapes))
    return len(file.checksums)
