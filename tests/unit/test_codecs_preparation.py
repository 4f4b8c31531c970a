import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sonimate.codecs.svd.preparation import box_mask, clip_input, resize_to_multiple_of_64


def test_mask_is_the_box():
    mask = box_mask((10, 20, 30, 60), width=100, height=80, area=1.0)
    assert mask.shape == (80, 100)
    assert (mask[20:60, 10:30] == 255).all()
    assert mask.sum() == 255 * 40 * 20


@given(width=st.integers(16, 400), height=st.integers(16, 400))
def test_sides_are_multiples_of_64(width, height):
    resized = resize_to_multiple_of_64(np.zeros((height, width), np.uint8), 128)
    assert resized.shape[0] % 64 == resized.shape[1] % 64 == 0
    assert min(resized.shape) == 128


def test_clip_input_is_squashed_not_cropped():
    image = np.zeros((64, 256, 3), np.uint8)
    image[:, :64] = 255
    pixels = clip_input(image)
    assert pixels.shape == (3, 224, 224)
    assert (pixels[:, :, :50] > 1).all()
    assert (pixels[:, :, 62:] < 0).all()
