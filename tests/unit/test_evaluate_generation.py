"""Motion that a pipeline generates, measured without drawing it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sonimate.clock import SAMPLE_RATE_HZ, VIDEO_FPS
from sonimate.evaluate.generation import generate_motion
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
