from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonimate import conditioning
from sonimate.codecs.base import EncodedReference
from sonimate.conditioning import audio_conditions, make_conditions, motion_buckets
from sonimate.configs import MAX_BUCKET, MotionOptions, SamplingOptions
from sonimate.errors import AudioTooShort
from sonimate.face.geometry import face_mask_box, process_bbox, reference_face_choice
from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)

SIDES = st.integers(64, 2000)


@st.composite
def boxes(draw):
    """(box, width, height): a box of some size inside an image."""
    width, height = draw(SIDES), draw(SIDES)
    x0, y0 = draw(st.floats(0, width - 20)), draw(st.floats(0, height - 20))
    x1, y1 = draw(st.floats(x0 + 10, width)), draw(st.floats(y0 + 10, height))
    return (x0, y0, x1, y1), width, height


@given(boxes(), st.floats(0, 2))
def test_crop_is_square_inside_the_image(drawn, ratio):
    box, width, height = drawn
    x0, y0, x1, y1 = process_bbox(box, expand_ratio=ratio, width=width, height=height)
    assert abs((x1 - x0) - (y1 - y0)) <= 1
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height


@given(boxes())
def test_mask_box_is_inside_the_image_and_about_the_face(drawn):
    (x0, y0, x1, y1), width, height = drawn
    left, top, right, bottom = face_mask_box((x0, y0, x1, y1), width=width, height=height)
    assert 0 <= left <= right <= width
    assert 0 <= top <= bottom <= height
    for found, scaled in ((left, x0 - 0.05 * (x1 - x0)), (top, y0 - 0.05 * (y1 - y0))):
        assert abs(found - max(scaled, 0)) <= 2


def test_face_choice_keeps_the_first_unless_larger_ones_follow():
    small, middle, large = (0, 0, 10, 10), (0, 0, 20, 20), (0, 0, 30, 30)
    assert reference_face_choice([small, large, middle]) == middle
    assert reference_face_choice([large, small, middle]) == large


@pytest.fixture
def networks():
    torch.manual_seed(0)
    tokens = AudioTokensConfig(channels=4, intermediate_dim=8, output_dim=6, context_tokens=3)
    bucket = AudioToBucketConfig(channels=4, intermediate_dim=8, clip_channels=6)
    return AudioToTokens(tokens).eval(), AudioToBucket(bucket).eval()


def test_long_sound_in_parts_is_the_same_as_at_once(networks, monkeypatch):
    states, embed = torch.randn(200, 5, 4), torch.randn(6)
    at_once = audio_conditions(states, embed, *networks, fps=25)
    monkeypatch.setattr(conditioning, "FRAMES_AT_ONCE", 7)
    in_parts = audio_conditions(states, embed, *networks, fps=25)
    for name, shape in (("audio_tokens", (100, 3, 6)), ("motion_buckets", (100, 2))):
        assert getattr(at_once, name).shape == shape
        torch.testing.assert_close(getattr(in_parts, name), getattr(at_once, name))
    assert at_once.null_audio_tokens.shape == at_once.audio_tokens.shape


@pytest.mark.parametrize(("full", "lead_ms"), [(False, 20), (True, 0)])
def test_the_compact_model_hears_each_frame_20_ms_ahead(networks, full, lead_ms):
    """Conditions of a sound equal those of the sound without its first 20 ms, where neither window meets an
    end."""
    tokens, bucket = networks
    states = torch.randn(200, 5, 4)
    components = SimpleNamespace(
        full=full,
        codec=SimpleNamespace(latent_fps=25),
        image_encoder=_Image(),
        audio_to_tokens=tokens,
        audio_to_bucket=bucket,
        unet=torch.nn.Linear(1, 1),
    )
    plane = torch.zeros(1, 2, 2)
    reference = EncodedReference(
        latents=plane, mask=plane[0], image=plane, initial_mean=0.0, width=2, height=2, context=None
    )
    options, device = SamplingOptions(), torch.device("cpu")
    made = make_conditions(cast(Any, components), states, reference, options, MotionOptions(), device)
    later = audio_conditions(states[lead_ms // 20 :], torch.zeros(6), *networks, fps=25)
    inside = slice(13, 85)
    torch.testing.assert_close(made.audio_tokens[inside], later.audio_tokens[inside])
    torch.testing.assert_close(made.motion_buckets[inside], later.motion_buckets[inside].clamp(0, MAX_BUCKET))


class _Image(torch.nn.Module):
    """An image encoder whose embeddings are zeros (1, 1, 6)."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.new_zeros(1, 1, 6)


def test_the_dynamic_scale_multiplies_predicted_buckets_only():
    predicted = torch.tensor([[20.0, 100.0], [-3.0, 130.0]])
    double = SamplingOptions(dynamic_scale=2.0)

    def buckets(options: SamplingOptions = double, **fixed: Any) -> list[list[float]]:
        ranges = cast(Any, SimpleNamespace(head_buckets=(5.0, 21.0), expression_buckets=(16.0, 80.0)))
        return motion_buckets(predicted, options, MotionOptions(**fixed), ranges).tolist()

    assert buckets() == [[40, 200], [0, 256]]
    assert buckets(SamplingOptions(as_reference=True)) == predicted.tolist()
    assert buckets(expression=64) == [[40, 48], [0, 48]]
    assert [buckets(head_motion=value)[0][0] for value in (0, 16, 64)] == [5, 16, 21]
    assert predicted[1].tolist() == [-3, 130]


def test_sound_below_one_frame_is_too_short(networks):
    with pytest.raises(AudioTooShort, match=r"0\.06 s"):
        audio_conditions(torch.zeros(3, 5, 4), torch.zeros(6), *networks, fps=12.5)
