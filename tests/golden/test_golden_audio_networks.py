"""AudioToTokens and AudioToBucket against the official code's numbers (tests/golden/README.md)."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from manifests import read_manifest
from safetensors.torch import load_file
from torch.testing import assert_close

from sonimate.checkpoints.store import load_strict
from sonimate.checkpoints.stream import shapes_of
from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)

MODULES = Path(__file__).parent / "modules"
MANIFESTS = Path(__file__).parent / "manifests"
TOLERANCE: dict[str, Any] = {"atol": 1e-5, "rtol": 0.0}


def tiny(network_type, config_type, name):
    network = network_type(config_type(**json.loads((MODULES / f"{name}_config.json").read_text())))
    weights = load_file(MODULES / f"{name}_weights.safetensors")
    load_strict(network, {key: tensor.float() for key, tensor in weights.items()}, name)
    return network.eval()


@torch.inference_mode()
def test_audio_tokens():
    network, io = (
        tiny(AudioToTokens, AudioTokensConfig, "audio2token"),
        load_file(MODULES / "audio2token_io.safetensors"),
    )
    assert_close(network(io["x"]), io["y"], **TOLERANCE)
    assert_close(network(io["x1"]), io["y1"], **TOLERANCE)


@torch.inference_mode()
def test_null_tokens_come_from_silence_in_feature_space():
    network, io = (
        tiny(AudioToTokens, AudioTokensConfig, "audio2token"),
        load_file(MODULES / "audio2token_io.safetensors"),
    )
    assert_close(network.null_tokens(), io["y_uncond_zeros"][0, 0], **TOLERANCE)


@torch.inference_mode()
def test_motion_buckets():
    network, io = (
        tiny(AudioToBucket, AudioToBucketConfig, "audio2bucket"),
        load_file(MODULES / "audio2bucket_io.safetensors"),
    )
    assert_close(network(io["x"], io["clip"])[..., None], io["bucket_y_times16_plus16"], **TOLERANCE)
    # The official network's output y is in units of 16 buckets, and so is its error.
    assert_close((network(io["x_b2"], io["clip_b2"])[..., None] - 16) / 16, io["y_b2"], **TOLERANCE)


@pytest.mark.parametrize(
    ("network_type", "config", "manifest"),
    [
        (AudioToTokens, AudioTokensConfig(), "audio2token.pth"),
        (AudioToBucket, AudioToBucketConfig(), "audio2bucket.pth"),
    ],
)
def test_full_networks_have_exactly_the_released_tensors(network_type, config, manifest):
    with torch.device("meta"):
        network = network_type(config)
    expected = read_manifest(MANIFESTS / f"{manifest}.json.gz")
    assert list(shapes_of(network.state_dict()).items()) == list(expected.items())
