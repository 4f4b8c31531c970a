import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonimate import conditioning
from sonimate.conditioning import audio_conditions, motion_buckets
from sonimate.configs import MotionOptions, SamplingOptions
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


def test_the_dynamic_scale_multiplies_predicted_buckets_only():
    predicted = torch.tensor([[20.0, 100.0], [-3.0, 130.0]])
    double = SamplingOptions(dynamic_scale=2.0)

    def buckets(options: SamplingOptions = double, **fixed: float) -> list[list[float]]:
        return motion_buckets(predicted, options, MotionOptions(**fixed), (5.0, 21.0)).tolist()

    assert buckets() == [[40, 200], [0, 256]]
    assert buckets(SamplingOptions(as_reference=True)) == predicted.tolist()
    assert buckets(expression=7) == [[40, 7], [0, 7]]
    assert [buckets(head_motion=value)[0][0] for value in (0, 16, 64)] == [5, 16, 21]
    assert predicted[1].tolist() == [-3, 130]


def test_sound_below_one_frame_is_too_short(networks):
    with pytest.raises(AudioTooShort, match=r"0\.06 s"):
        audio_conditions(torch.zeros(3, 5, 4), torch.zeros(6), *networks, fps=12.5)
