"""Portraits are judged before they are animated: the mouth seen and closed, the eyes open, all sharp?"""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from faces import NAMES, codec, example, mesh, portrait_of
from media_samples import EXAMPLES

from lib.covers import covered, degraded
from sonimate.errors import MouthNotVisible
from sonimate.face.mesh import select_face
from sonimate.face.pose import fit_pose, to_canonical, to_image
from sonimate.face.regions import EYE_CORNER_COUNT, LEFT_EYE, RIGHT_EYE
from sonimate.face.visibility import CLOSED_EYES, require_visible, visibility
from sonimate.inputs import read_inputs
from sonimate.media.image import write_png
from sonimate.types import Portrait

SPEECH = EXAMPLES / "speech/librivox_ss_0890.wav"


def found(pixels: np.ndarray) -> Portrait:
    return Portrait(pixels, select_face(mesh().find(pixels)))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_said_about_portraits_paintings_and_a_smile_with_teeth(name, caplog):
    require_visible(example(name), name=name)
    assert not caplog.records


@pytest.mark.parametrize("cover", ["hand", "cup", "scarf", "mask", "pink mask", "shawl"])
@pytest.mark.parametrize("name", ["mona_lisa", "obama"])
def test_a_covered_mouth_is_refused(name, cover):
    pixels = covered(example(name), cover, np.random.default_rng(0))
    with pytest.raises(MouthNotVisible, match=r"not visible.*whole mouth.*--force"):
        require_visible(found(pixels), name=name)


@pytest.mark.parametrize(("cover", "name"), [("fingers", "obama"), ("microphone", "mona_lisa")])
def test_fingers_side_by_side_and_a_microphone_are_not_animated_silently(cover, name, caplog):
    pixels = covered(example(name), cover, np.random.default_rng(0))
    require_visible(found(pixels), name="the picture", force=True)
    assert "cover the mouth" in caplog.text


def test_a_grey_portrait_is_not_judged_by_its_colours(caplog):
    grey = cv2.cvtColor(example("obama").pixels, cv2.COLOR_RGB2GRAY)
    require_visible(found(np.repeat(grey[..., None], 3, axis=2)), name="the picture")
    assert not caplog.records


def test_force_animates_a_covered_mouth_with_a_warning(tmp_path, caplog):
    path = tmp_path / "hand.png"
    write_png(path, covered(example("obama"), "hand", np.random.default_rng(0)))
    with pytest.raises(MouthNotVisible, match=r"hand\.png"):
        read_inputs(path, SPEECH, mesh=mesh())
    read_inputs(path, SPEECH, mesh=mesh(), force=True)
    (record,) = caplog.records
    assert "cover the mouth" in record.getMessage()


def test_a_finger_before_the_mouth_is_only_a_warning(caplog):
    pixels = covered(example("mona_lisa"), "finger", np.random.default_rng(0))
    require_visible(found(pixels), name="the picture")
    assert "or a part of it" in caplog.text


@pytest.mark.parametrize("kind", ["dark", "jpeg 10", "noise 20"])
def test_a_poor_picture_of_a_mouth_is_not_taken_for_a_covered_one(kind):
    seen = visibility(found(degraded(example("mona_lisa"), kind, np.random.default_rng(0))))
    assert not seen.mouth.hidden
    assert not seen.mouth.blurred


def test_a_strong_blur_is_named(caplog):
    pixels = degraded(example("mona_lisa"), "blur 2 %", np.random.default_rng(0))
    require_visible(found(pixels), name="the picture")
    assert "is blurred" in caplog.text


def test_a_mouth_wide_open_is_named_and_a_slightly_open_one_is_not():
    portrait = example("mona_lisa")
    landmarks = portrait.face.landmarks[None].astype(np.float64)
    pose = fit_pose(landmarks)
    opening = codec().displacement(codec().open_mouth[None])
    seen = []
    for share in (0.2, 2.4):
        moved = to_image(to_canonical(landmarks, pose) + share * opening, pose)[0]
        seen.append(visibility(portrait_of(portrait.pixels, moved)).mouth_wide_open)
    assert seen == [False, True]


def test_closed_eyes_are_named():
    portrait = example("mona_lisa")
    landmarks = portrait.face.landmarks.copy()
    for eye in (RIGHT_EYE, LEFT_EYE):
        upper, lower = eye[1:EYE_CORNER_COUNT], eye[:EYE_CORNER_COUNT:-1]
        landmarks[list(upper)] = landmarks[list(lower)]
    assert visibility(portrait).eyes_closed < 0.3
    assert (
        visibility(replace(portrait, face=replace(portrait.face, landmarks=landmarks))).eyes_closed
        > CLOSED_EYES
    )
