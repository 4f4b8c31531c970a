"""The full model's codec against the official code's numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from recipe import recipe_weights
from safetensors.torch import load_file
from svd_codec import MODULES, SVD_SCALING, golden_codec
from transformers.models.clip.configuration_clip import CLIPVisionConfig

from sonimate.codecs.svd.interpolation import RifeMiddle
from sonimate.models.clip import ClipImageEncoder
from sonimate.models.rife import IFNet, IFNetConfig
from sonimate.types import Face, Portrait

PIPELINE = Path(__file__).parent / "pipeline"
E2E = json.loads((PIPELINE / "e2e.json").read_text())
FRAMES_ATOL = 1e-4 / 2
"""The goldens span [-1, 1], the codec's frames [0, 1]."""


@pytest.fixture(scope="module")
def shared():
    return load_file(PIPELINE / "shared_inputs.safetensors")


@pytest.fixture(scope="module")
def e2e():
    return load_file(PIPELINE / "e2e.safetensors")


@pytest.fixture(scope="module")
def video(e2e):
    """At 12.5 frames a second."""
    return torch.stack(list(golden_codec().decode_latents(e2e["final_latents"][0])))


def unit(signed: torch.Tensor) -> torch.Tensor:
    return (signed / 2 + 0.5).clamp(0, 1)


def test_decoded_frames(shared):
    frames = torch.stack(list(golden_codec().decode_latents(SVD_SCALING * shared["vae_decode_z"])))
    torch.testing.assert_close(frames, unit(shared["vae_decode_out5"]), atol=FRAMES_ATOL, rtol=0)


@pytest.mark.parametrize("name", ["eq_clip", "lt_clip", "not_multiple"])
def test_pipeline_frames(name):
    """not_multiple: its 12 frames are more than a chunk."""
    golden = load_file(PIPELINE / f"{name}.safetensors")
    latents = golden["latents_init_and_per_step"][-1, 0]
    frames = torch.stack(list(golden_codec().decode_latents(latents)))
    expected = unit(golden["frames_sel_stride2"][0]).transpose(0, 1)
    found = frames[golden["frames_sel_idx"], :, ::2, ::2]
    torch.testing.assert_close(found, expected, atol=FRAMES_ATOL, rtol=0)


@pytest.mark.parametrize("size", ["128x128", "128x192"])
def test_encoded_pictures(size, shared):
    found = golden_codec().encode(shared[f"ref_image_{size}_f16"].float())
    torch.testing.assert_close(
        found, SVD_SCALING * shared[f"vae_mean_{size}"], atol=SVD_SCALING * 1e-5, rtol=0
    )


def test_encoded_portrait(e2e):
    """The mean that noise is added to, seen through noise 700 times as large in float32."""
    x, y, width, height = E2E["bbox_xywh"]
    pixels = load_file(MODULES / "image_prep.safetensors")["land_image_hwc_u8"].numpy()
    face = Face((x, y, x + width, y + height), np.zeros((478, 3), np.float32), 1.0)
    reference = golden_codec().encode_reference(Portrait(pixels, face), size=E2E["min_resolution"])
    assert (reference.height, reference.width) == (E2E["height"], E2E["width"])
    noise = 700 * e2e["latent_noise_drawn_second"][0].double()
    expected = (e2e["latents_init_and_steps_except_last"][0, 0] - noise).mean(0).float()
    torch.testing.assert_close(reference.initial_mean, expected, atol=1e-4, rtol=0)


def test_video_at_half_the_rate(e2e, video):
    assert video.mean((1, 2, 3)).tolist() == pytest.approx(E2E["video_frame_means"], abs=1e-5)
    expected = e2e["video_sel_stride2"][0].transpose(0, 1)
    found = video[e2e["video_sel_idx"], :, ::2, ::2]
    torch.testing.assert_close(found, expected, atol=FRAMES_ATOL, rtol=0)


def test_interpolated_video(e2e, video, monkeypatch):
    network = IFNet(IFNetConfig())
    network.load_state_dict(recipe_weights("rife"))
    codec = golden_codec(RifeMiddle(network.eval()))
    monkeypatch.setattr(codec, "decode_latents", lambda *_: iter(video))
    frames = np.stack(list(codec.decode(e2e["final_latents"][0]))).astype(int)
    assert len(frames) == E2E["rife_frames"] + 1
    frames = frames[: E2E["rife_frames"]].transpose(0, 3, 1, 2)
    truncated = 0.5 / 255
    assert (frames.mean((1, 2, 3)) / 255 + truncated).tolist() == pytest.approx(
        E2E["rife_frame_means"], abs=1e-3
    )
    expected = (255 * e2e["rife_video_sel_stride2"][0].transpose(0, 1)).int().numpy()
    assert np.abs(frames[e2e["rife_video_sel_idx"], :, ::2, ::2] - expected).max() <= 1
    assert np.abs(frames[1] - e2e["rife_video_uint8_frame1"].int().numpy()).max() <= 1


def test_image_embeds(shared):
    clip = ClipImageEncoder(CLIPVisionConfig(**json.loads((MODULES / "clip_config.json").read_text())))
    weights = load_file(MODULES / "clip_weights.safetensors")
    clip.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    with torch.no_grad():
        found = clip.eval()(shared["clip_image_f16"].float())[:, 0]
    torch.testing.assert_close(found, shared["image_embeds"], atol=1e-5, rtol=0)
