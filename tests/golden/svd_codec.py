"""The codec around the golden autoencoder."""

import json
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from safetensors.torch import load_file

from sonimate.codecs.svd.autoencoder import SVDCodec
from sonimate.codecs.svd.interpolation import Middle
from sonimate.configs import REFERENCE_DECODE

MODULES = Path(__file__).parent / "modules"
SVD_SCALING = 0.18215


def mean_frame(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first + second) / 2


def golden_codec(middle: Middle = mean_frame) -> SVDCodec:
    """Decodes in chunks as the reference does."""
    vae = AutoencoderKLTemporalDecoder(**json.loads((MODULES / "vae_config.json").read_text()))
    weights = load_file(MODULES / "vae_weights.safetensors")
    vae.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return SVDCodec(vae.eval(), middle=middle, decoding=REFERENCE_DECODE)
