"""A picture, a face box and sound to frames, through the pipeline itself, against the official code."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from recipe import recipe_weights
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPVisionConfig

from sonimate.checkpoints.store import Components, load_audio_encoder
from sonimate.codecs.svd.autoencoder import SVDCodec
from sonimate.codecs.svd.interpolation import RifeMiddle
from sonimate.conditioning import initial_noise
from sonimate.configs import FULL, REFERENCE_DECODE
from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)
from sonimate.models.clip import ClipImageEncoder
from sonimate.models.rife import IFNet, IFNetConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig
from sonimate.pipeline import SonicPipeline
from sonimate.types import Face, Portrait, Waveform

HERE = Path(__file__).parent
MODULES = HERE / "modules"
CASE = json.loads((HERE / "pipeline/e2e.json").read_text())
OVERRIDES = CASE["config_overrides"]
SIZE = CASE["min_resolution"]
OPTIONS = replace(
    FULL,
    steps=OVERRIDES["num_inference_steps"],
    window_frames=OVERRIDES["n_sample_frames"],
    shift_offset=OVERRIDES["shift_offset"],
    as_reference=True,
)

Network = TypeVar("Network", bound=nn.Module)


def loaded(network: Network, name: str) -> Network:
    weights = load_file(MODULES / f"{name}_weights.safetensors")
    network.load_state_dict({key: tensor.float() for key, tensor in weights.items()})
    return network.eval()


def config(name: str) -> dict:
    return json.loads((MODULES / f"{name}_config.json").read_text())


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return load_file(HERE / "pipeline/e2e.safetensors")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> SonicPipeline:
    folder = tmp_path_factory.mktemp("whisper")
    (folder / "config.json").symlink_to(MODULES / "whisper_config.json")
    (folder / "model.safetensors").symlink_to(MODULES / "whisper_weights.safetensors")
    unet_recipe = json.loads(gzip.decompress((MODULES / "unet_a_recipe.json.gz").read_bytes()))
    rife = IFNet(IFNetConfig())
    rife.load_state_dict(recipe_weights("rife"))
    vae = loaded(AutoencoderKLTemporalDecoder(**config("vae")), "vae")
    codec = SVDCodec(vae, middle=RifeMiddle(rife.eval()), decoding=REFERENCE_DECODE)
    components = Components(
        unet=loaded(SpatioTemporalUNet(UNetConfig.from_dict(unet_recipe["config"])), "unet_a"),
        audio_to_tokens=loaded(AudioToTokens(AudioTokensConfig(**config("audio2token"))), "audio2token"),
        audio_to_bucket=loaded(AudioToBucket(AudioToBucketConfig(**config("audio2bucket"))), "audio2bucket"),
        image_encoder=loaded(ClipImageEncoder(CLIPVisionConfig(**config("clip"))), "clip"),
        audio_encoder=load_audio_encoder(folder),
        codec=codec,
    )
    return SonicPipeline(components, device="cpu")


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    x, y, width, height = CASE["bbox_xywh"]
    pixels = load_file(MODULES / "image_prep.safetensors")["land_image_hwc_u8"].numpy()
    return Portrait(pixels, Face((x, y, x + width, y + height), np.zeros((478, 3), np.float32), 1.0))


@pytest.fixture(scope="module")
def sound() -> Waveform:
    samples = load_file(MODULES / "audio_1.3s.safetensors")["pcm_int16"].numpy()
    return Waveform((samples / 2**15).astype(np.float32), 16_000)


@pytest.fixture(scope="module")
def generated(pipeline: SonicPipeline, portrait: Portrait, sound: Waveform):
    return pipeline.generate(portrait, sound, sampling=OPTIONS, size=SIZE)


def test_the_seed_draws_the_reference_noise(generated, expected):
    latents, reference = generated
    noise = initial_noise(reference, len(latents), OPTIONS)
    torch.testing.assert_close(noise, expected["latent_noise_drawn_second"][0], atol=0, rtol=0)


def test_latents(generated, expected):
    torch.testing.assert_close(generated[0], expected["final_latents"][0], atol=5e-4, rtol=0)


def test_frames_at_half_the_rate(pipeline, generated, expected):
    frames = torch.stack(list(pipeline.components.codec.decode_latents(generated[0])))
    assert frames.shape == (16, 3, CASE["height"], CASE["width"])
    assert frames.mean((1, 2, 3)).tolist() == pytest.approx(CASE["video_frame_means"], abs=1e-3)
    chosen = frames[expected["video_sel_idx"], :, ::2, ::2]
    torch.testing.assert_close(chosen, expected["video_sel_stride2"][0].transpose(0, 1), atol=1e-3, rtol=0)


def test_video(pipeline, portrait, sound, expected):
    """From files' contents to what is written: uint8, 25 a second."""
    frames = list(pipeline(portrait, sound, sampling=OPTIONS, size=SIZE))[: CASE["rife_frames"]]
    means = [frame.mean() / 255 for frame in frames]
    assert means == pytest.approx(CASE["rife_frame_means"], abs=1 / 255)
    for index, wanted in zip(
        expected["rife_video_sel_idx"], expected["rife_video_sel_stride2"][0].transpose(0, 1), strict=True
    ):
        found = frames[index][::2, ::2].transpose(2, 0, 1).astype(int)
        assert np.abs(found - (wanted * 255).int().numpy()).max() <= 1
    second = frames[1].transpose(2, 0, 1).astype(int)
    assert np.abs(second - expected["rife_video_uint8_frame1"].int().numpy()).max() <= 1


def test_a_saved_copy_makes_the_same_latents(pipeline, portrait, sound, generated, tmp_path):
    """The golden weights are float16 numbers, so that saving loses nothing."""
    pipeline.save_pretrained(tmp_path)
    copy = SonicPipeline.from_pretrained(tmp_path, device="cpu")
    torch.testing.assert_close(
        copy.generate(portrait, sound, sampling=OPTIONS, size=SIZE)[0],
        generated[0],
        atol=2e-4,
        rtol=0,
    )
    codec = copy.components.codec
    assert isinstance(codec, SVDCodec)
    assert isinstance(codec.middle, RifeMiddle)
