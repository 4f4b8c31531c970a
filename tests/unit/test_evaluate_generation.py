"""Motion that a pipeline generates, measured without drawing it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sonimate.clock import SAMPLE_RATE_HZ, VIDEO_FPS
from sonimate.configs import MotionOptions
from sonimate.evaluate.curves import correlation
from sonimate.evaluate.face_curves import face_curves
from sonimate.evaluate.generation import generate_motion, mesh_codec
from sonimate.evaluate.statistics import spread
from sonimate.face.mesh import FaceMesh
from sonimate.face.tracking import stack_landmarks
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def pipeline() -> SonicPipeline:
    return SonicPipeline.from_pretrained("compact", device="cpu")


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    return read_portrait(EXAMPLES / "portraits/mona_lisa.jpg", size=256)


@pytest.fixture(scope="module")
def speech() -> Waveform:
    samples = read_audio(EXAMPLES / "speech/jfk_inaugural.wav").samples
    return Waveform(samples[: round(1.1 * SAMPLE_RATE_HZ)], SAMPLE_RATE_HZ)


@pytest.mark.parametrize("as_reference", [False, True])
def test_a_motion_has_as_many_frames_as_the_video_made_with_the_same_options(
    pipeline: SonicPipeline, portrait: Portrait, speech: Waveform, as_reference: bool
):
    """The reference counts frames in another way: 1.1 s has 25 there and 28 otherwise (NOTES 1.1, 5.2)."""
    sampling = replace(pipeline.sampling, steps=1, as_reference=as_reference)
    generated = generate_motion(pipeline, portrait, speech, sampling=sampling)
    drawn = sum(1 for _ in pipeline(portrait, speech, sampling=sampling))
    assert len(generated.curves) == len(generated.motion.head) == drawn
    assert drawn == (25 if as_reference else round(1.1 * VIDEO_FPS))


def test_head_motion_grows_in_the_table_as_it_does_in_the_video(pipeline: SonicPipeline):
    """This picture has little room for the head, so that it is drawn with less motion than the network asks
    for. A tracker finds a constant share of the turn, about 0.6: the warp flattens the depth of the face."""
    portrait = read_portrait(EXAMPLES / "portraits/obama.jpg", size=384)
    samples = read_audio(EXAMPLES / "speech/jfk_inaugural.wav").samples[: 3 * SAMPLE_RATE_HZ]
    sound, sampling = Waveform(samples, SAMPLE_RATE_HZ), replace(pipeline.sampling, seed=1)
    asked, measured, tracked = [], [], []
    for value in (21, 128):
        motion = MotionOptions(head_motion=value)
        generated = generate_motion(pipeline, portrait, sound, sampling=sampling, motion=motion)
        frames = mesh_codec(pipeline).render(generated.motion, generated.warp)
        seen = face_curves(stack_landmarks(list(FaceMesh(num_threads=1).track(frames))))
        asked.append(spread(np.degrees(generated.motion.head[:, :3])))
        measured.append(spread(generated.curves.rotation))
        tracked.append(spread(seen.rotation))
        assert correlation(generated.curves.rotation[:, 1], seen.rotation[:, 1]) > 0.9
    gains = [high / low for low, high in (asked, measured, tracked)]
    assert gains[1] == pytest.approx(gains[2], rel=0.12)
    assert gains[0] > 1.05 * gains[2]
