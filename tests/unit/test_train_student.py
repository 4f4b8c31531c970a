"""Guidance distillation: the target of the student, and how it is sampled."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from train_samples import CONFIG, DATA

from sonimate.checkpoints.registry import UNET
from sonimate.checkpoints.store import load_network
from sonimate.configs import COMPACT
from sonimate.diffusion.denoiser import Denoiser
from sonimate.diffusion.guidance import AUDIO, IMAGE, Step, denoising_steps, ends_of
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
    first, _, last = steps_of_student(audio_guidance=wanted)
    for step, whole in zip((first, last), ends_of(wanted), strict=True):
        assert effective_guidance(step) == pytest.approx(whole)


def test_the_learned_guidance_takes_one_prediction():
    assert [step.weights for step in steps_of_student(audio_guidance=GUIDANCE)] == [{AUDIO: 1.0}] * 3


def test_outside_the_guidance_interval_a_student_is_not_guided():
    """Its one prediction would be guided everywhere: no guidance takes two."""
    steps = steps_of_student(audio_guidance=GUIDANCE, guidance_interval=(1.0, 5.0))
    assert [effective_guidance(step) for step in steps] == pytest.approx([1.0, GUIDANCE, 1.0])


def steps_of_student(**options: Any) -> list[Step]:
    """Steps from noise levels 10, 2 and 0.5 for a network with built-in GUIDANCE."""
    return denoising_steps(replace(COMPACT, **options), [10.0, 2.0, 0.5, 0.0], built_in=GUIDANCE)


def effective_guidance(step: Step) -> float:
    """The guidance r of a step's prediction, image + r (audio - image), by a student with built-in
    GUIDANCE."""
    image, audio = 0.3, 1.1
    guided = image + GUIDANCE * (audio - image)
    mixed = step.weights.get(IMAGE, 0.0) * image + step.weights.get(AUDIO, 0.0) * guided
    return (mixed - image) / (audio - image)


def test_a_student_that_is_trained_further_keeps_its_guidance(teacher, tmp_path):
    """Its loss on data is that of the unguided velocity, so equal to the teacher's while it predicts the
    same, and the model that is saved says with which guidance it predicts."""
    quiet = student_of(teacher).config
    student = CompactTask(quiet, DATA, teacher)
    student.save(student.networks, tmp_path / "student")
    further = replace(quiet, distil_guidance=0.0, drop_audio=0.4)
    task = CompactTask(further, DATA, tmp_path / "student" / "model")
    batch = task.batch(0, range(12))
    dropped = batch.draws.drop_audio
    assert 0 < dropped.sum() < 12
    silent = replace(batch, draws=replace(batch.draws, drop_audio=torch.ones_like(dropped)))
    noisy = batch.noisy_latents
    with torch.no_grad():
        guided, image = (Denoiser.velocity(task.networks, some, noisy) for some in (batch, silent))
        found = task.networks.velocity(batch, noisy)
    torch.testing.assert_close(found[dropped], image[dropped])
    again = image + GUIDANCE * (found - image)
    torch.testing.assert_close(again[~dropped], guided[~dropped], atol=1e-5, rtol=1e-4)
    task.save(task.networks, tmp_path / "further")
    assert load_network(tmp_path / "further" / "model", UNET).config.audio_guidance == GUIDANCE


def test_a_student_of_a_student_learns_the_guidance_that_is_asked_for(teacher, tmp_path):
    first = student_of(teacher)
    first.save(first.networks, tmp_path)
    second = CompactTask(replace(first.config, distil_guidance=5.0), DATA, tmp_path / "model")
    assert isinstance(second.networks, Student)
    assert second.networks._guidance * GUIDANCE == 5.0
