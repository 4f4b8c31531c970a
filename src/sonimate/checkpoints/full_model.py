"""The full model's parts beside its UNet and audio networks: CLIP, SVD's autoencoder, RIFE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from transformers.models.clip.configuration_clip import CLIPVisionConfig

from sonimate.checkpoints.network import (
    built_on_meta,
    fill,
    load_network,
    read_config,
    save_network,
    write_network,
)
from sonimate.codecs.svd.autoencoder import SVDCodec
from sonimate.codecs.svd.interpolation import FlowMiddle, RifeMiddle
from sonimate.models.clip import ClipImageEncoder
from sonimate.models.rife import IFNet, IFNetConfig

VAE_WEIGHTS = "diffusion_pytorch_model.safetensors"


def load_image_encoder(folder: Path, dtype: torch.dtype) -> ClipImageEncoder:
    """CLIP's image branch with its projection. Raises InvalidCheckpoint."""
    values = read_config(folder)
    with built_on_meta("CLIPVisionModelWithProjection", str(folder)):
        encoder = ClipImageEncoder(CLIPVisionConfig(**values))
    fill(encoder, folder / "model.safetensors", dtype)
    encoder.number_positions()
    return encoder


def load_svd_codec(model: Path, dtype: torch.dtype) -> SVDCodec:
    """SVD's autoencoder; frames between are RIFE's where `model` has it, else optical flow's.

    Raises InvalidCheckpoint.
    """
    values = read_config(model / "vae")
    with built_on_meta("AutoencoderKLTemporalDecoder", str(model / "vae")):
        vae: Any = AutoencoderKLTemporalDecoder.from_config(values)
    fill(vae, model / "vae" / VAE_WEIGHTS, dtype)
    if not (model / "interpolator").is_dir():
        return SVDCodec(vae, middle=FlowMiddle())
    return SVDCodec(vae, middle=RifeMiddle(load_network(model / "interpolator", IFNet, IFNetConfig)))


def save_image_encoder(encoder: Any, folder: Path, dtype: torch.dtype) -> None:
    """Write a ClipImageEncoder as transformers reads it."""
    write_network(encoder, folder, encoder.config.to_json_string(), "model.safetensors", dtype)


def save_svd_codec(codec: Any, model: Path, dtype: torch.dtype) -> None:
    """Write an SVDCodec: the autoencoder as diffusers reads it, and RIFE if the codec has it."""
    config = {"_class_name": type(codec.vae).__name__, **codec.vae.config}
    write_network(codec.vae, model / "vae", json.dumps(config, indent=2) + "\n", VAE_WEIGHTS, dtype)
    if isinstance(codec.middle, RifeMiddle):
        save_network(codec.middle.network, model / "interpolator", torch.float32)
