"""A component's class and config -> its tensors' names and shapes, on torch's meta device: without memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from sonimate.checkpoints.component_layout import Class
from sonimate.checkpoints.manifest import Shapes, shapes_of
from sonimate.checkpoints.network import built_on_meta
from sonimate.models.audio_tokens import AudioTokensConfig, AudioToTokens
from sonimate.models.motion_bucket import AudioToBucket, AudioToBucketConfig
from sonimate.models.reference import ReferenceEncoder, ReferenceEncoderConfig
from sonimate.models.rife import IFNet, IFNetConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig
from sonimate.models.whisper_encoder import WhisperConfig, WhisperEncoder

NETWORKS: dict[str, tuple[type[nn.Module], type]] = {
    "SpatioTemporalUNet": (SpatioTemporalUNet, UNetConfig),
    "AudioToTokens": (AudioToTokens, AudioTokensConfig),
    "AudioToBucket": (AudioToBucket, AudioToBucketConfig),
    "ReferenceEncoder": (ReferenceEncoder, ReferenceEncoderConfig),
    "IFNet": (IFNet, IFNetConfig),
}


def expected_shapes(kind: Class, config: Mapping[str, Any], source: str) -> Shapes:
    """Shapes of a component of class `kind`, built from the values of its config.json.

    Raises InvalidCheckpoint, naming `source`, if the class is unknown or the config does not fit it.
    """
    with built_on_meta(kind[1], source):
        return shapes_of(_build(kind, config).state_dict())


def _build(kind: Class, config: Mapping[str, Any]) -> nn.Module:
    # The two libraries take seconds to load, and not every model needs both.
    match kind:
        case ("sonimate", name) if name in NETWORKS:
            network, shape = NETWORKS[name]
            return network(shape(**{key: value for key, value in config.items() if key[0] != "_"}))
        case ("transformers", "CLIPVisionModelWithProjection"):
            from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

            return CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(dict(config)))
        case ("transformers", "WhisperEncoder"):
            return WhisperEncoder(WhisperConfig.from_dict(config))
        case ("diffusers", "AutoencoderKLTemporalDecoder"):
            from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import (
                AutoencoderKLTemporalDecoder,
            )

            vae: Any = AutoencoderKLTemporalDecoder.from_config(dict(config))
            return vae
    raise ValueError(f"{kind[0]} has no class {kind[1]} that this version knows")


def audio_tokens_config(shapes: Shapes) -> AudioTokensConfig:
    """The network whose tensors have these shapes; windows, and whatever is missing, as in the full model."""
    full = AudioTokensConfig()
    output_dim = _size(shapes, "norm.weight", full.output_dim)
    return AudioTokensConfig(
        channels=_size(shapes, "proj1.weight", full.feature_dim, parts=full.seq_len * full.blocks),
        intermediate_dim=_size(shapes, "proj1.bias", full.intermediate_dim),
        output_dim=output_dim,
        context_tokens=_size(shapes, "proj3.bias", full.context_tokens * full.output_dim, parts=output_dim),
    )


def audio_to_bucket_config(shapes: Shapes, channels: int) -> AudioToBucketConfig:
    """Likewise, for hidden states of `channels` features."""
    full = AudioToBucketConfig()
    features = full.seq_len * full.blocks * channels
    return AudioToBucketConfig(
        channels=channels,
        intermediate_dim=_size(shapes, "proj1.bias", full.intermediate_dim),
        clip_channels=_size(shapes, "proj1.weight", features + full.clip_channels) - features,
    )


def _size(shapes: Shapes, name: str, default: int, parts: int = 1) -> int:
    """The last axis of a tensor, which is its inputs or its only one, divided into `parts`; 1 or more."""
    return max((shapes.get(name) or (default,))[-1] // parts, 1)
