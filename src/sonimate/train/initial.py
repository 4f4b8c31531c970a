"""Stable Video Diffusion XT -> a model folder to train from.

`python -m sonimate.train.initial --svd SVD --whisper WHISPER -o MODEL`: SVD's UNet with audio adapters that
start as copies of its projections of the image (NOTES 3.1), its autoencoder and CLIP, Whisper's encoder, and
audio networks of random weights. The result is a full model like a converted one, only untrained.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from sonimate.checkpoints.archive import open_tensors
from sonimate.checkpoints.convert import convert, unet_config
from sonimate.checkpoints.manifest import check_shapes
from sonimate.checkpoints.release import CONFIG, DIFFUSERS_FILES, SONIC_FILES, Release, read_config
from sonimate.errors import FileMissing, SonimateError
from sonimate.models.audio_tokens import AudioTokensConfig, AudioToTokens
from sonimate.models.motion_bucket import AudioToBucket, AudioToBucketConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig

ADAPTERS = {".processor.to_k_ip.0.": ".to_k.", ".processor.to_v_ip.0.": ".to_v."}
"""Part of an adapter's name -> that of the projection whose copy it starts as."""


def initialise(svd: Path, whisper: Path, out: Path, *, dtype: torch.dtype, seed: int = 0) -> None:
    """Write the model folder `out`. Raises FileMissing, InvalidCheckpoint, OutputNotWritable.

    dtype: of UNet, autoencoder and CLIP.
    """
    config = unet_config(read_config(svd / "unet" / CONFIG))
    features = int(read_config(whisper / CONFIG)["d_model"])
    width = config.cross_attention_dim
    tokens = AudioTokensConfig(channels=features, output_dim=width)
    buckets = AudioToBucketConfig(channels=features, clip_channels=width)
    torch.manual_seed(seed)
    with TemporaryDirectory(dir=out.absolute().parent) as folder:
        sonic = Path(folder)
        torch.save(AudioToTokens(tokens).state_dict(), sonic / SONIC_FILES["audio_to_tokens"])
        torch.save(AudioToBucket(buckets).state_dict(), sonic / SONIC_FILES["audio_to_bucket"])
        torch.save(unet_with_adapters(svd / "unet", config), sonic / SONIC_FILES["unet"])
        convert(Release(sonic=sonic, svd=svd, whisper=whisper), out, dtype=dtype)


def unet_with_adapters(folder: Path, config: UNetConfig) -> dict[str, Tensor]:
    """Tensors of SVD's UNet and of our adapters. Raises FileMissing, InvalidCheckpoint."""
    path = next((folder / name for name in DIFFUSERS_FILES if (folder / name).is_file()), None)
    if path is None:
        raise FileMissing(f"{folder} holds no {DIFFUSERS_FILES[0]}. Copy the model's whole folder.")
    file = open_tensors(path)
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in SpatioTemporalUNet(config).state_dict().items()}
    sources = {name: source_of(name) for name in shapes}
    expected = {source: shapes[name] for name, source in sources.items() if name == source}
    check_shapes(file.shapes, expected, str(path))
    stored = dict(file.read(expected))
    return {name: stored[source] for name, source in sources.items()}


def source_of(name: str) -> str:
    """SVD's tensor that one of our UNet's starts as."""
    for adapter, projection in ADAPTERS.items():
        name = name.replace(adapter, projection)
    return name


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sonimate.train.initial", description=__doc__)
    parser.add_argument("--svd", type=Path, required=True, help="Stable Video Diffusion XT, diffusers' form")
    parser.add_argument("--whisper", type=Path, required=True, help="whisper-tiny, transformers' form")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--dtype", choices=("float16", "bfloat16", "float32"), default="float16")
    parser.add_argument("--seed", type=int, default=0, help="of the audio networks")
    arguments = parser.parse_args(argv)
    dtype = getattr(torch, arguments.dtype)
    try:
        initialise(arguments.svd, arguments.whisper, arguments.out, dtype=dtype, seed=arguments.seed)
    except SonimateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{arguments.out} is ready to be trained")
    return 0


if __name__ == "__main__":
    sys.exit(main())
