"""The pipeline on arrays, and models on disk: saved and loaded whole, or refused by name."""

import json
import shutil
import tracemalloc
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from media_samples import EXAMPLES
from safetensors.torch import load_file, save_file

from sonimate.configs import COMPACT, MotionOptions
from sonimate.devices import Stage, choose_device
from sonimate.errors import (
    AudioTooShort,
    CompilationFailed,
    FileMissing,
    InvalidCheckpoint,
    NonFiniteOutput,
    OptionOutOfRange,
    UnknownModel,
)
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform

SPEECH = EXAMPLES / "speech/librivox_ss_0890.wav"
PICTURE = EXAMPLES / "portraits/obama.jpg"
ONE_STEP = replace(COMPACT, steps=1)
TWO_STEPS = replace(COMPACT, steps=2)


@pytest.fixture(scope="module")
def pipeline() -> SonicPipeline:
    return SonicPipeline.from_pretrained("compact", device="cpu")


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    return read_portrait(PICTURE, size=256)


@pytest.fixture
def model(pipeline: SonicPipeline, tmp_path: Path) -> Path:
    """A saved copy of the bundled model."""
    pipeline.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def speech(seconds: float) -> Waveform:
    return Waveform(read_audio(SPEECH).samples[: round(seconds * 16_000)], 16_000)


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.3, 2.05, 2.5])
def test_frames_last_as_long_as_the_sound(
    seconds: float, pipeline: SonicPipeline, portrait: Portrait
) -> None:
    frames = list(pipeline(portrait, speech(seconds), sampling=ONE_STEP))
    assert len(frames) == round(seconds * 25)
    for frame in frames:
        assert (frame.shape, frame.dtype) == (portrait.pixels.shape, np.uint8)


@pytest.mark.parametrize(("seconds", "latents"), [(0.2, 2), (1.119, 13), (1.3, 16)])
def test_as_reference_frames_lie_between_whole_latents(
    seconds: float, latents: int, pipeline: SonicPipeline, portrait: Portrait
) -> None:
    """NOTES 1.1, 5.2: N = T_a // 2 latents and 2 N - 1 frames."""
    options = replace(ONE_STEP, as_reference=True)
    made, _ = pipeline.generate(portrait, speech(seconds), sampling=options)
    frames = list(pipeline(portrait, speech(seconds), sampling=options))
    assert len(made) == latents
    assert len(frames) == 2 * latents - 1


def test_frames_are_drawn_one_by_one(pipeline: SonicPipeline, portrait: Portrait) -> None:
    """The first frame of ten minutes needs a small part of the memory of them all."""
    latents, reference = pipeline.generate(portrait, speech(0.3), sampling=ONE_STEP)
    minutes = latents[:1].expand(7_500, -1, -1, -1)
    tracemalloc.start()
    frame = next(iter(pipeline.components.codec.decode(minutes, reference.context)))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 15_000 * frame.nbytes / 10


def test_an_animation_can_be_drawn_again(pipeline: SonicPipeline) -> None:
    animation = pipeline.animate(PICTURE, SPEECH, sampling=ONE_STEP, size=256)
    assert (animation.height, animation.fps, animation.frame_count) == (256, 25, 132)
    first, second = animation.frames(), animation.frames()
    for _ in range(3):
        np.testing.assert_array_equal(next(first), next(second))


def test_every_stage_is_followed_to_its_end(pipeline: SonicPipeline, portrait: Portrait) -> None:
    calls: list[tuple[str, int, int]] = []
    pipeline.generate(portrait, speech(0.5), sampling=TWO_STEPS, progress=lambda *call: calls.append(call))
    assert calls == [("listen", 0, 1), ("listen", 1, 1), ("move", 0, 2), ("move", 1, 2), ("move", 2, 2)]


def test_the_seed_and_the_motion_decide_the_latents(pipeline: SonicPipeline, portrait: Portrait) -> None:
    def latents(seed: int = 1, **motion: Any) -> torch.Tensor:
        options = replace(TWO_STEPS, seed=seed)
        return pipeline.generate(portrait, speech(1), sampling=options, motion=MotionOptions(**motion))[0]

    first = latents()
    torch.testing.assert_close(latents(), first, rtol=0, atol=0)
    for other in (latents(seed=2), latents(head_motion=128), latents(expression=128)):
        assert not torch.equal(other, first)


def test_a_fixed_bucket_is_not_scaled(pipeline: SonicPipeline, portrait: Portrait) -> None:
    fixed = MotionOptions(head_motion=40, expression=20)
    mild, intense = (
        pipeline.generate(portrait, speech(1), sampling=replace(ONE_STEP, dynamic_scale=beta), motion=fixed)
        for beta in (0.5, 2.0)
    )
    torch.testing.assert_close(mild[0], intense[0])


def test_too_short_a_sound(pipeline: SonicPipeline, portrait: Portrait) -> None:
    with pytest.raises(AudioTooShort, match=r"0\.19 s"):
        pipeline.generate(portrait, speech(0.19))


def test_a_missing_compiler_is_an_error_with_advice(
    pipeline: SonicPipeline, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor.exc import InductorError

    def uncompiled(*_: object) -> None:
        raise InductorError(FileNotFoundError("c++"), None)

    monkeypatch.setattr(pipeline.components.unet, "forward", uncompiled)
    with pytest.raises(CompilationFailed, match=r"c\+\+.*leave out --compile"):
        pipeline.generate(portrait, speech(0.5), sampling=ONE_STEP)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_motion_that_is_not_finite_is_refused(
    value: float, pipeline: SonicPipeline, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(sample: torch.Tensor, *_: object) -> torch.Tensor:
        return value * sample[:, :, :36]

    monkeypatch.setattr(pipeline.components.unet, "forward", broken)
    with pytest.raises(NonFiniteOutput, match=r"UNet.*--dtype bfloat16"):
        pipeline.generate(portrait, speech(0.5), sampling=ONE_STEP)


class Recorder(torch.nn.Linear):
    """Writes into `log` where it is sent."""

    def __init__(self, name: str, log: list[tuple[str, str]]) -> None:
        super().__init__(1, 1)
        self.name, self.log = name, log

    def to(self, device: torch.device | str) -> Self:
        self.log.append((self.name, str(device)))
        return self


def test_offloaded_networks_are_on_the_device_only_while_they_work(
    pipeline: SonicPipeline, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In turn: the autoencoder for the portrait, the listeners, the UNet, the autoencoder for the frames."""
    log: list[tuple[str, str]] = []

    def stage(*names: str) -> Stage:
        return Stage([Recorder(name, log) for name in names], torch.device("meta"), offload=True)

    monkeypatch.setattr(pipeline, "_decoder", stage("vae", "rife"))
    monkeypatch.setattr(pipeline, "_encoders", stage("listener"))
    monkeypatch.setattr(pipeline, "_denoiser", stage("unet"))
    assert {device for _, device in log} == {"cpu"}
    log.clear()
    latents, reference = pipeline.generate(portrait, speech(0.5), sampling=ONE_STEP)
    drawer = [("vae", "meta"), ("rife", "meta"), ("vae", "cpu"), ("rife", "cpu")]
    turns = [("listener", "meta"), ("listener", "cpu"), ("unet", "meta"), ("unet", "cpu")]
    assert log == drawer + turns
    log.clear()
    frames = pipeline.decode(latents, reference)
    next(frames)
    assert log == drawer[:2]
    assert isinstance(frames, Generator)
    frames.close()
    assert log == drawer


def test_a_stage_leaves_the_device_when_its_last_user_does() -> None:
    log: list[tuple[str, str]] = []
    kept = Stage([Recorder("kept", log)], torch.device("meta"), offload=False)
    shared = Stage([Recorder("shared", log)], torch.device("meta"), offload=True)
    assert log == [("kept", "meta"), ("shared", "cpu")]
    with kept, shared:
        log.clear()
        with pytest.raises(RuntimeError), shared:
            raise RuntimeError
        assert ("shared", "cpu") not in log
    assert ("kept", "cpu") not in log
    assert log[-1] == ("shared", "cpu")


def test_a_rest_of_a_latent_takes_no_window_but_shows_the_last_latent_again(
    pipeline: SonicPipeline, portrait: Portrait
) -> None:
    """2.05 s: 25 whole latents, one window, 51 video frames, which show 26 latents."""
    lengths: list[int] = []
    recorder = pipeline.components.unet.register_forward_pre_hook(
        lambda _, inputs: lengths.append(inputs[0].shape[1])
    )
    with recorder:
        latents, _ = pipeline.generate(portrait, speech(2.05), sampling=ONE_STEP)
    assert lengths == [25]
    assert len(latents) == 26
    assert torch.equal(latents[-1], latents[-2])
    assert not torch.equal(latents[-2], latents[-3])
    frames = list(pipeline(portrait, speech(2.05), sampling=ONE_STEP))
    assert len(frames) == 51


def test_devices() -> None:
    assert choose_device("cpu").type == choose_device("cpu:0").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("", "tpu", "cpu:", "cpu:1", "cpu:x", "cuda:99", "auto:0"):
        with pytest.raises(OptionOutOfRange, match=r"is not available; this machine has .*cpu"):
            choose_device(name)


def test_a_saved_model_is_the_same_model(pipeline: SonicPipeline, portrait: Portrait, model: Path) -> None:
    again = SonicPipeline.from_pretrained(model, device="cpu")
    first, second = (each.generate(portrait, speech(1), sampling=TWO_STEPS)[0] for each in (pipeline, again))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("size", [-1, 0, 10, 63, 8193])
def test_sizes_out_of_range(size: int, pipeline: SonicPipeline) -> None:
    with pytest.raises(OptionOutOfRange, match=f"size = {size}; choose from 64 to 8192 px"):
        pipeline.animate(PICTURE, SPEECH, size=size)


def test_unknown_models(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"no model 'nonesuch'.*compact"):
        SonicPipeline.from_pretrained("nonesuch")
    with pytest.raises(UnknownModel):
        SonicPipeline.from_pretrained(tmp_path)


def without_a_tensor(folder: Path) -> str:
    tensors = load_file(folder / "model.safetensors")
    name = sorted(tensors)[0]
    save_file({key: value for key, value in tensors.items() if key != name}, folder / "model.safetensors")
    return name


def with_another_shape(folder: Path) -> str:
    tensors = load_file(folder / "model.safetensors")
    name = sorted(tensors)[0]
    tensors[name] = torch.zeros(3, 1, 4, 1, 5)
    save_file(tensors, folder / "model.safetensors")
    return name


@pytest.mark.parametrize("damage", [without_a_tensor, with_another_shape])
@pytest.mark.parametrize(
    "component",
    [
        "unet",
        "audio_to_tokens",
        "audio_to_bucket",
        "image_encoder",
        "audio_encoder",
        "voice_detector",
        "tongue_reader",
        "codec",
    ],
)
def test_a_wrong_tensor_is_named(component: str, damage: Callable[[Path], str], model: Path) -> None:
    name = damage(model / component)
    with pytest.raises(InvalidCheckpoint) as caught:
        SonicPipeline.from_pretrained(model)
    assert name in str(caught.value)
    assert str(model / component) in str(caught.value)


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def with_bad_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def with_a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def with_an_unknown_option(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"flavour": "vanilla"}))


@pytest.mark.parametrize(
    "damage", [cut, shutil.rmtree, without_weights, with_bad_json, with_a_list, with_an_unknown_option]
)
@pytest.mark.parametrize("component", ["unet", "audio_encoder"])
def test_a_damaged_component_is_named(component: str, damage: Callable[[Path], None], model: Path) -> None:
    damage(model / component)
    if (component, damage) == ("audio_encoder", with_an_unknown_option):
        SonicPipeline.from_pretrained(model)  # options of other versions of transformers are ignored
        return
    with pytest.raises((InvalidCheckpoint, FileMissing), match=component):
        SonicPipeline.from_pretrained(model)
