"""From an image, a face box and sound to latents, all components together, against the official code."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection
from vae_encoder import posterior_mean

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.conditioning import (
    audio_conditions,
    clip_input,
    face_mask,
    resize_to_multiple_of_64,
    signed_image,
    unit_mask,
)
from sonimate.configs import FULL
from sonimate.models.audio_tokens import AudioTokensConfig, AudioToTokens
from sonimate.models.motion_bucket import AudioToBucket, AudioToBucketConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig
from sonimate.sampling import sample
from sonimate.types import Conditions

HERE = Path(__file__).parent
MODULES = HERE / "modules"
CASE = json.loads((HERE / "pipeline/e2e.json").read_text())
SVD_SCALING = 0.18215


def loaded(network: torch.nn.Module, name: str) -> torch.nn.Module:
    weights = load_file(MODULES / f"{name}_weights.safetensors")
    network.load_state_dict({key: tensor.float() for key, tensor in weights.items()})
    return network.eval()


def config(name: str) -> dict:
    return json.loads((MODULES / f"{name}_config.json").read_text())


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    return load_file(HERE / "pipeline/e2e.safetensors")


@pytest.fixture(scope="module")
def conditions(tmp_path_factory) -> Conditions:
    image = load_file(MODULES / "image_prep.safetensors")["land_image_hwc_u8"].numpy()
    x, y, width, height = CASE["bbox_xywh"]
    mask = face_mask((x, y, x + width, y + height), width=image.shape[1], height=image.shape[0])
    image, mask = (resize_to_multiple_of_64(pixels, CASE["min_resolution"]) for pixels in (image, mask))

    clip = loaded(CLIPVisionModelWithProjection(CLIPVisionConfig(**config("clip"))), "clip")
    with torch.no_grad():
        image_embed = clip(clip_input(image)[None]).image_embeds[0]

    folder = tmp_path_factory.mktemp("whisper")
    (folder / "config.json").symlink_to(MODULES / "whisper_config.json")
    (folder / "model.safetensors").symlink_to(MODULES / "whisper_weights.safetensors")
    sound = load_file(MODULES / "audio_1.3s.safetensors")["pcm_int16"].float() / 2**15
    audio = audio_conditions(
        WhisperHiddenStates.from_folder(folder)(sound, mode="reference"),
        image_embed,
        loaded(AudioToTokens(AudioTokensConfig(**config("audio2token"))), "audio2token"),
        loaded(AudioToBucket(AudioToBucketConfig(**config("audio2bucket"))), "audio2bucket"),
        fps=12.5,
    )
    return Conditions(
        image_embeds=image_embed.expand(len(audio.audio_tokens), 1, -1),
        audio_tokens=audio.audio_tokens,
        null_audio_tokens=audio.null_audio_tokens,
        motion_buckets=audio.motion_buckets,
        reference_latents=posterior_mean(signed_image(image), MODULES / "vae_weights.safetensors"),
        mask=unit_mask(mask),
        fps=12.5,
    )


def test_image_sound_and_box_to_latents(conditions, expected):
    recipe = json.loads(gzip.decompress((MODULES / "unet_a_recipe.json.gz").read_bytes()))
    unet = loaded(SpatioTemporalUNet(UNetConfig.from_dict(recipe["config"])), "unet_a")
    overrides = CASE["config_overrides"]
    options = replace(
        FULL,
        steps=overrides["num_inference_steps"],
        window_frames=overrides["n_sample_frames"],
        shift_offset=overrides["shift_offset"],
    )
    latents = sample(
        unet,
        conditions,
        expected["latent_noise_drawn_second"][0],
        options,
        initial_mean=SVD_SCALING * conditions.reference_latents,
    )
    torch.testing.assert_close(latents, expected["final_latents"][0], atol=5e-4, rtol=0)
