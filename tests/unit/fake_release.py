"""A release in miniature: the released files' names and forms, with tiny networks of random weights."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperForConditionalGeneration

from sonimate.checkpoints.release import Release
from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)
from sonimate.models.rife import IFNet, IFNetConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig

FEATURES = 16
UNET = UNetConfig(
    down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
    up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    block_out_channels=(32, 32),
    num_attention_heads=(1, 2),
    layers_per_block=1,
    cross_attention_dim=32,
    addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=24,
)


def write_fake_release(folder: Path, unet: UNetConfig = UNET) -> Release:
    """Write the four models below `folder` as their publishers do: Sonic and RIFE, SVD, Whisper."""
    release = Release(sonic=folder / "Sonic", svd=folder / "svd", whisper=folder / "whisper-tiny")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _write_sonic(release.sonic, unet)
        _write_svd(release.svd, unet)
        _write_whisper(release.whisper)
    return release


def _write_sonic(folder: Path, unet: UNetConfig) -> None:
    width = unet.cross_attention_dim
    tokens = AudioTokensConfig(channels=FEATURES, intermediate_dim=48, output_dim=width, context_tokens=4)
    bucket = AudioToBucketConfig(channels=FEATURES, intermediate_dim=24, clip_channels=width)
    (folder / "RIFE").mkdir(parents=True)
    torch.save(SpatioTemporalUNet(unet).state_dict(), folder / "unet.pth")
    torch.save(AudioToTokens(tokens).state_dict(), folder / "audio2token.pth")
    torch.save(AudioToBucket(bucket).state_dict(), folder / "audio2bucket.pth")
    rife = {f"module.{name}": tensor for name, tensor in IFNet(IFNetConfig()).state_dict().items()}
    rife["left_over"] = torch.zeros(1)
    torch.save(rife, folder / "RIFE/flownet.pkl", _use_new_zipfile_serialization=False)


def _write_svd(folder: Path, unet: UNetConfig) -> None:
    about = {"_class_name": "UNetSpatioTemporalConditionModel", "num_frames": 25, "sample_size": 96}
    (folder / "unet").mkdir(parents=True)
    (folder / "unet/config.json").write_text(json.dumps(about | asdict(unet)))
    image_encoder = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        projection_dim=unet.cross_attention_dim,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=224,
        patch_size=32,
    )
    CLIPVisionModelWithProjection(image_encoder).save_pretrained(folder / "image_encoder")
    shape: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "block_out_channels": (32,) * 4,
        "layers_per_block": 1,
        "sample_size": 64,
    }
    AutoencoderKLTemporalDecoder(**shape).save_pretrained(folder / "vae")


def _write_whisper(folder: Path) -> None:
    config = WhisperConfig(
        vocab_size=64,
        d_model=FEATURES,
        encoder_layers=4,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    WhisperForConditionalGeneration(config).save_pretrained(folder)
