"""Stable Diffusion's VAE encoder as a function of its tensors: reference latents for the pipeline cases."""

from itertools import count
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

GROUPS = 32
EPS = 1e-6


def posterior_mean(image: Tensor, weights_path: Path) -> Tensor:
    """Image (3, h, w) in [-1, 1] -> unscaled latents (4, h / 8, w / 8)."""
    weights = {name: tensor.float() for name, tensor in load_file(weights_path).items()}

    def conv(x: Tensor, name: str, **options) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **options)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.group_norm(x, GROUPS, weights[f"{name}.weight"], weights[f"{name}.bias"], EPS)

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def resnet(x: Tensor, name: str) -> Tensor:
        hidden = conv(F.silu(norm(x, f"{name}.norm1")), f"{name}.conv1", padding=1)
        return x + conv(F.silu(norm(hidden, f"{name}.norm2")), f"{name}.conv2", padding=1)

    def attention(x: Tensor, name: str) -> Tensor:
        pixels = norm(x, f"{name}.group_norm").flatten(2).transpose(1, 2)
        query, key, value = (linear(pixels, f"{name}.to_{part}") for part in "qkv")
        mixed = linear(F.scaled_dot_product_attention(query, key, value), f"{name}.to_out.0")
        return x + mixed.transpose(1, 2).view_as(x)

    with torch.no_grad():
        x = conv(image[None], "encoder.conv_in", padding=1)
        for level in count():
            block = f"encoder.down_blocks.{level}"
            x = resnet(x, f"{block}.resnets.0")
            if f"{block}.downsamplers.0.conv.weight" not in weights:
                break
            x = conv(F.pad(x, (0, 1, 0, 1)), f"{block}.downsamplers.0.conv", stride=2)
        x = resnet(x, "encoder.mid_block.resnets.0")
        x = attention(x, "encoder.mid_block.attentions.0")
        x = resnet(x, "encoder.mid_block.resnets.1")
        x = conv(F.silu(norm(x, "encoder.conv_norm_out")), "encoder.conv_out", padding=1)
        return conv(x, "quant_conv")[0].chunk(2)[0]
