"""Stable Video Diffusion XT -> a model folder that training starts from.

It holds SVD's UNet, its autoencoder and CLIP, Whisper's encoder, audio networks with random weights, and
audio adapters, which start as copies of the projections of the image in the UNet (NOTES 3.1).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from sonimate.checkpoints.convert import convert, require_new, unet_config
from sonimate.checkpoints.registry import UNET, read_config
from sonimate.checkpoints.release import DIFFUSERS_FILES, SONIC_FILES, Release, first_file
from sonimate.checkpoints.store import check_shapes, expected_shapes
from sonimate.checkpoints.stream import open_tensors
from sonimate.media.files import require_space
from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)
from sonimate.models.unet import UNetConfig
from sonimate.types import Progress, no_progress

ADAPTERS = {".processor.to_k_ip.0.": ".to_k.", ".processor.to_v_ip.0.": ".to_v."}
"""Part of an adapter's name -> the same part of the projection that it starts as a copy of."""


def initialise(
    svd: Path,
    whisper: Path,
    output: Path,
    *,
    dtype: torch.dtype,
    rife: Path | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> None:
    """Write the model folder `output`, which appears when it is complete and verified.

    svd: Stable Video Diffusion XT in diffusers' form. whisper: whisper-tiny in transformers' form. rife:
    flownet.pkl, if the model shall have an interpolator. dtype: of UNet, autoencoder and CLIP. seed: of the
    random weights. progress: as in `convert`.
    Raises FileMissing, InvalidCheckpoint, and OutputNotWritable, also where the disk has too little space.
    """
    require_new(output)
    config = unet_config(read_config(svd / "unet"))
    features = int(read_config(whisper)["d_model"])
    width = config.cross_attention_dim
    with TemporaryDirectory(dir=output.absolute().parent) as folder, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sonic = Path(folder) / "Sonic"
        sonic.mkdir()
        tokens = AudioToTokens(AudioTokensConfig(channels=features, output_dim=width))
        torch.save(tokens.state_dict(), sonic / SONIC_FILES["audio_to_tokens"])
        bucket = AudioToBucket(AudioToBucketConfig(channels=features, clip_channels=width))
        torch.save(bucket.state_dict(), sonic / SONIC_FILES["audio_to_bucket"])
        unet = unet_with_adapters(svd / "unet", config)
        require_space(sonic, sum(tensor.nbytes for tensor in unet.values()))
        torch.save(unet, sonic / SONIC_FILES["unet"])
        del unet
        release = Release(sonic=sonic, svd=svd, whisper=whisper, rife=rife)
        convert(release, output, dtype=dtype, progress=progress)


def unet_with_adapters(folder: Path, config: UNetConfig) -> dict[str, Tensor]:
    """Tensors of SVD's UNet and of the audio adapters. Raises FileMissing, InvalidCheckpoint."""
    file = open_tensors(first_file(folder, DIFFUSERS_FILES))
    shapes = expected_shapes(UNET, asdict(config), str(folder))
    sources = {name: source_of(name) for name in shapes}
    expected = {source: shapes[name] for name, source in sources.items() if name == source}
    check_shapes(file.shapes, expected, str(file.path))
    stored = dict(file.read(expected))
    return {name: stored[source] for name, source in sources.items()}


def source_of(name: str) -> str:
    """The name of SVD's tensor that a tensor of our UNet starts as."""
    for adapter, projection in ADAPTERS.items():
        name = name.replace(adapter, projection)
    return name
