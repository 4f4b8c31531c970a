"""Sync-M with the bundled network, on a mouth that the compact model moves to real speech: as it plays it
agrees; moved, it is found again; another's sound, a frozen mouth and shuffled frames do not agree."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from sonimate.errors import AudioTooShort
from sonimate.evaluate.face_curves import ShapeCurves
from sonimate.evaluate.generation import generate_motion
from sonimate.evaluate.sync_m import MAX_DELAY_FRAMES, MIN_FRAMES, SyncJudge, lip_motion, read_sync
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.models.sync_network import REACH_FRAMES, SyncNetwork, SyncNetworkConfig
from sonimate.pipeline import SonicPipeline
from sonimate.types import Waveform

EXAMPLES = Path(__file__).parents[2] / "examples"
FRAMES = 100


@cache
def judge() -> SyncJudge:
    return SyncJudge.load()


def samples(name: str) -> np.ndarray:
    return read_audio(EXAMPLES / "speech" / name).samples[: 640 * FRAMES]


@cache
def speaking() -> tuple[ShapeCurves, np.ndarray]:
    sound = samples("ljspeech_LJ001-0001.wav")
    portrait = read_portrait(EXAMPLES / "portraits" / "obama.jpg", size=384)
    moved = generate_motion(SonicPipeline.from_pretrained("compact"), portrait, Waveform(sound, 16_000))
    return moved.shapes, sound


def test_lips_agree_with_their_own_sound_and_with_no_other():
    shapes, sound = speaking()
    own = judge()(shapes, sound)
    others = judge()(shapes, samples("jfk_inaugural.wav"))
    assert own.agreement > 0.2
    assert abs(own.lag.frames) <= 1
    assert own.agreement > others.agreement + 0.2
    assert own.distance < others.distance


@pytest.mark.parametrize("late", [-8, -3, 5])
def test_a_planted_delay_is_found_and_costs(late: int):
    shapes, sound = speaking()
    own = judge()(shapes, sound)
    moved = judge()(shapes, np.roll(sound, -640 * late))
    assert moved.lag.frames - own.lag.frames == pytest.approx(late, abs=1)
    assert moved.agreement < own.agreement - 0.1


def test_frames_out_of_order_and_a_frozen_mouth_do_not_agree():
    shapes, sound = speaking()
    own = judge()(shapes, sound).agreement
    order = np.random.default_rng(0).permutation(FRAMES)
    assert judge()(shapes[order], sound).agreement < own / 2
    frozen = replace(shapes, lips=np.repeat(shapes.lips[:1], FRAMES, 0))
    assert abs(judge()(frozen, sound).agreement) < own / 2


def test_the_size_and_place_of_a_mouth_do_not_matter():
    lips = speaking()[0].lips
    assert np.abs(lip_motion(1.5 * lips + 7) - lip_motion(lips)).max() < 1e-3


def test_too_short_a_video_is_refused():
    shapes, sound = speaking()
    judge()(shapes[slice(MIN_FRAMES)], sound)
    with pytest.raises(AudioTooShort, match=r"1\.8 s"):
        judge()(shapes[slice(MIN_FRAMES - 1)], sound)


def test_nothing_marks_where_a_clip_begins():
    """A convolution with padding would let both networks tell the first frame, and find every delay by it."""
    network = SyncNetwork(SyncNetworkConfig()).eval()
    lips, hidden = torch.randn(1, 60, 80), torch.randn(1, 120, 384)
    seen, heard = network.embed_lips(lips), network.embed_sound(hidden)
    assert seen.shape == heard.shape == (1, 60 - 2 * REACH_FRAMES, 48)
    torch.testing.assert_close(network.embed_lips(lips[:, 7:]), seen[:, 7:])
    torch.testing.assert_close(network.embed_sound(hidden[:, 14:]), heard[:, 7:])


def test_the_sign_of_a_delay():
    """A network whose two embeddings are the same numbers: lips that are late by 4 frames."""

    class Same(SyncNetwork):
        def embed_lips(self, lips: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(lips, dim=2)

        def embed_sound(self, hidden_states: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(hidden_states[:, ::2], dim=2)

    rows = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    reading = read_sync(Same(SyncNetworkConfig()), rows[:60], np.repeat(rows[4:], 2, axis=0))
    assert reading.lag.frames == pytest.approx(4, abs=0.1)
    assert set(reading.similarity) == set(range(-MAX_DELAY_FRAMES, MAX_DELAY_FRAMES + 1))
