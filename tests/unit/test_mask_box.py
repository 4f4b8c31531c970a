"""`--mask-box`: which box the full model takes for the face, for its mask and for the crop."""

import numpy as np
import pytest
from faces import PORTRAITS, mesh
from PIL import Image

from sonimate.apps.arguments import mask_box
from sonimate.errors import OptionOutOfRange
from sonimate.face.crop import reference_crop
from sonimate.face.geometry import scaled_box
from sonimate.inputs import read_inputs, read_portrait
from sonimate.media.image import read_image

OBAMA = PORTRAITS / "obama.jpg"
SPEECH = PORTRAITS.parent / "speech/librivox_ss_0890.wav"


def portrait(**options):
    return read_portrait(OBAMA, size=None, mesh=mesh(), **options)


def test_a_scale_keeps_the_centre_and_scales_both_sides():
    assert scaled_box((10, 20, 30, 60), 1.5) == (5, 10, 35, 70)
    found = portrait(mask_box=1.5)
    assert found.mask_box == scaled_box(portrait().face.box, 1.5)
    assert found.face.box == portrait().face.box
    assert portrait(mask_box=1.0).mask_box == pytest.approx(portrait().face.box)
    assert portrait().mask_box is None


def test_an_exact_box_is_taken_as_it_is():
    assert portrait(mask_box=(200.5, 50.0, 800.0, 900.25)).mask_box == (200.5, 50.0, 800.0, 900.25)


def test_the_crop_is_made_around_the_mask_box_and_the_box_moves_with_it():
    height, width = read_image(OBAMA).shape[:2]
    box = scaled_box(portrait().face.box, 1.2)
    left, top, right, bottom = reference_crop(box, width=width, height=height)
    found = portrait(mask_box=1.2, crop=True)
    assert found.pixels.shape[:2] == (bottom - top, right - left)
    assert found.mask_box == pytest.approx(np.subtract(box, (left, top, left, top)))
    plain = portrait(crop=True)
    assert found.pixels.shape[0] > plain.pixels.shape[0]


def test_an_exact_box_is_in_pixels_of_the_file_even_where_the_picture_shrinks(tmp_path):
    """Pasting back shrinks pictures above 8192 px."""
    path = tmp_path / "wide.png"
    wide = Image.new("RGB", (16_384, 64 * 24), (90, 90, 90))
    wide.paste(Image.open(OBAMA).resize((1200, 1500)), (2000, 20))
    wide.save(path)
    inputs = read_inputs(
        path, SPEECH, size=None, paste_back=True, mask_box=(2000, 20, 3200, 1520), mesh=mesh()
    )
    assert inputs.portrait.pixels.shape[1] == 8192
    assert inputs.portrait.mask_box == (1000, 10, 1600, 760)


@pytest.mark.parametrize("wrong", [0.4, 3.1, float("nan"), (5.0, 0.0, 5.0, 9.0)], ids=str)
def test_boxes_out_of_range_are_refused(wrong):
    with pytest.raises(OptionOutOfRange, match="mask_box = "):
        portrait(mask_box=wrong)


def test_the_compact_model_refuses_it():
    with pytest.raises(OptionOutOfRange, match="--mask-box is for the full model"):
        read_portrait(OBAMA, mask_box=1.1, mesh=mesh())


def test_command_line_words():
    assert mask_box("1.25") == 1.25
    assert mask_box("1,2,30,40.5") == (1, 2, 30, 40.5)
