"""Guidance distillation: the target of the student, and how it is sampled."""

from dataclasses import replace

import pytest
import torch
from train_samples import CONFIG, DATA

from sonimate.checkpoints.registry import UNET
from sonimate.checkpoints.store import load_network
from sonimate.configs import COMPACT
from sonimate.diffusion.guidance import AUDIO, IMAGE, branch_weights, ends_of, options_for_distilled
from sonimate.train.compact_task import CompactTask, Student

GUIDANCE = 2.5


@pytest.fixture
def teacher(tmp_path):
    task = CompactTask(CONFIG, DATA)
    for parameter in task.networks.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(0))
    task.save(task.networks, tmp_path)
    return tmp_path / "model"


def student_of(teacher, **changes):
    """Without dropout, so that the student is its teacher at first."""
    quiet = {
        "audio_tokens": CONFIG.audio_tokens | {"dropout": 0.0},
        "reference_encoder": CONFIG.reference_encoder | {"dropout": 0.0, "noise": 0.0},
    }
    return CompactTask(replace(CONFIG, **quiet, distil_guidance=GUIDANCE, **changes), DATA, teacher)


def test_it_learns_the_guided_velocity_where_the_sound_is_given(teacher):
    task = student_of(teacher, drop_audio=0.4, drop_both=0.0, drop_image=0.0)
    batch = task.batch(0, range(12))
    dropped = batch.draws.drop_audio
    assert 0 < dropped.sum() < 12
    student = task.networks
    noisy = batch.latents + batch.draws.sigma[:, None, None, None, None] * batch.draws.noise
    with torch.no_grad():
        image = student.velocity(
            replace(batch, draws=replace(batch.draws, drop_audio=torch.ones_like(dropped))), noisy
        )
        audio = student.velocity(batch, noisy)
        losses = student(batch)
    away = ((GUIDANCE - 1) * (audio - image)).square().flatten(1).mean(1)
    torch.testing.assert_close(losses, torch.where(dropped, 0.0, away), atol=1e-6, rtol=1e-4)
    assert losses[~dropped].min() > 0


def test_only_the_student_is_trained_and_kept(teacher, tmp_path):
    task = student_of(teacher)
    assert isinstance(task.networks, Student)
    before = {name: value.clone() for name, value in task.networks._teacher[0].state_dict().items()}
    assert [name for name, _ in task.networks.named_children()] == [
        "unet",
        "audio_to_tokens",
        "image_encoder",
    ]
    optimiser = torch.optim.SGD(task.networks.parameters(), lr=0.1)
    task.networks(task.batch(0, range(4))).mean().backward()
    optimiser.step()
    after = task.networks._teacher[0].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(task.networks.unet.conv_in.weight, after["unet.conv_in.weight"])
    task.save(task.networks, tmp_path / "student")
    unet = load_network(tmp_path / "student" / "model", UNET)
    assert unet.config.audio_guidance == GUIDANCE


@pytest.mark.parametrize("wanted", [0.0, 1.0, 2.5, 4.0, (1.0, 5.0)])
def test_any_guidance_can_still_be_mixed(wanted):
    left = ends_of(options_for_distilled(replace(COMPACT, audio_guidance=wanted), GUIDANCE).audio_guidance)
    image, audio = 0.3, 1.1
    guided = image + GUIDANCE * (audio - image)
    for share, whole in zip(left, ends_of(wanted), strict=True):
        weights = branch_weights(1.0, share)
        mixed = weights.get(IMAGE, 0.0) * image + weights.get(AUDIO, 0.0) * guided
        assert mixed == pytest.approx(image + whole * (audio - image))


def test_the_learned_guidance_takes_one_prediction():
    left = options_for_distilled(replace(COMPACT, audio_guidance=GUIDANCE), GUIDANCE).audio_guidance
    assert branch_weights(1.0, ends_of(left)[0]) == {AUDIO: 1.0}
