"""A portrait that speaks, and what is wrong with it when it is damaged in a known way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.targets import portrait_checks
from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.evaluate.generation import GeneratedMotion, generate_motion, mesh_codec
from sonimate.evaluate.portrait_score import measure_portrait, yaw_correlations
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.pipeline import SonicPipeline
from sonimate.types import Waveform

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def spoken() -> tuple[GeneratedMotion, list[np.ndarray]]:
    pipeline = SonicPipeline.from_pretrained("compact", device="cpu")
    portrait = read_portrait(EXAMPLES / "portraits/obama.jpg", size=256)
    samples = read_audio(EXAMPLES / "speech/jfk_inaugural.wav").samples[: 2 * SAMPLE_RATE_HZ]
    sampling = replace(pipeline.sampling, steps=2, seed=1)
    generated = generate_motion(pipeline, portrait, Waveform(samples, SAMPLE_RATE_HZ), sampling=sampling)
    return generated, list(mesh_codec(pipeline).render(generated.motion, generated.warp))


def test_a_portrait_that_speaks_has_every_figure(spoken: tuple[GeneratedMotion, list[np.ndarray]]):
    score = measure_portrait("obama", *spoken)
    assert score.tracked == 1
    assert 0 < score.p95_mm <= score.max_mm
    assert score.tracked_p95_mm == pytest.approx(score.p95_mm, rel=0.5)
    assert score.background >= 0
    assert score.brows_mm > 0


def test_without_frames_the_motion_alone_is_judged(spoken: tuple[GeneratedMotion, list[np.ndarray]]):
    drawn, alone = measure_portrait("obama", *spoken), measure_portrait("obama", spoken[0])
    assert (alone.p95_mm, alone.cadence, alone.brows_mm) == (drawn.p95_mm, drawn.cadence, drawn.brows_mm)
    assert np.isnan([alone.background, alone.tracked, alone.tracked_lids]).all()
    names = {check.name for check in portrait_checks([drawn], [0.1])}
    assert names - {check.name for check in portrait_checks([alone], [0.1])} == {
        "lids at a blink as tracked, median",
        "background shift, median",
    }


def test_a_gape_is_wide_and_a_still_picture_has_a_still_background(
    spoken: tuple[GeneratedMotion, list[np.ndarray]],
):
    generated, frames = spoken
    vertices = generated.drawn.vertices.copy()
    vertices[:, 14, 1] -= np.linspace(0, 4, len(vertices))
    gape = replace(generated, drawn=replace(generated.drawn, vertices=vertices))
    shaken = [np.roll(frame, 2 * (index % 9), axis=1) for index, frame in enumerate(frames)]
    before = measure_portrait("obama", generated, shaken)
    after = measure_portrait("obama", gape, [frames[0]] * len(frames))
    assert after.p95_mm > before.p95_mm + 25
    assert after.over_22 > 0.3 > before.over_22
    assert after.background == pytest.approx(0, abs=1e-3)
    assert after.background < before.background / 4


def test_heads_that_nod_alike_correlate():
    time = np.arange(250) / 25
    yaw = np.sin(time)
    alike, opposite, other = yaw_correlations([yaw, 2 * yaw + 3, -yaw])
    assert alike == pytest.approx(1)
    assert opposite == other == pytest.approx(-1)
    assert abs(yaw_correlations([yaw, np.sin(3 * time)])[0]) < 0.3
