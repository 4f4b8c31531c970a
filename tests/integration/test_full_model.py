"""The full size of the system on a release in miniature: converted, loaded and animated by the command."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from command import PORTRAIT, animate
from fake_release import write_fake_release
from media_samples import frame_rate, tags_of
from safetensors.torch import load_file, save_file

from sonimate.apps import forecast
from sonimate.apps.cli import main
from sonimate.configs import FULL
from sonimate.errors import InvalidCheckpoint, OptionOutOfRange
from sonimate.face.geometry import rounded_size
from sonimate.inputs import read_inputs
from sonimate.media.image import read_image
from sonimate.media.video import read_frames
from sonimate.pipeline import SonicPipeline

QUICK = ("--size", "64", "--steps", "2", "--json")
TWO_STEPS = replace(FULL, steps=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted by the command, in float16 as users will have it."""
    folder = tmp_path_factory.mktemp("release")
    release = write_fake_release(folder)
    sources = ("--sonic", release.sonic, "--svd", release.svd, "--whisper", release.whisper)
    assert main(["models", "convert", *map(str, sources), "-o", str(folder / "model")]) == 0
    return folder / "model"


@pytest.fixture(scope="module")
def pipeline(model: Path) -> SonicPipeline:
    return SonicPipeline.from_pretrained(model, device="cpu")


@pytest.fixture(scope="module")
def latents(pipeline: SonicPipeline, words: Path) -> torch.Tensor:
    return generate(pipeline, words)


def generate(pipeline: SonicPipeline, words: Path, **changes: object) -> torch.Tensor:
    inputs = read_inputs(PORTRAIT, words, size=None)
    options = replace(TWO_STEPS, **changes)
    return pipeline.generate(inputs.portrait, inputs.waveform, sampling=options, size=64)[0]


def test_a_video_of_the_right_form(
    model: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert animate(PORTRAIT, words, "-o", tmp_path / "a.mp4", "--model", model, *QUICK) == 0
    account = json.loads(capsys.readouterr().out)
    height, width = read_image(PORTRAIT).shape[:2]
    assert (account["width"], account["height"]) == rounded_size(width, height, 64)
    assert account["width"] % 64 == account["height"] % 64 == 0
    assert account["interpolation"] == "RIFE"
    assert account["options"]["audio_guidance"] == FULL.audio_guidance
    with av.open(str(tmp_path / "a.mp4")) as container:
        video = container.streams.video[0]
        assert (video.frames, frame_rate(container)) == (32, 25)
        assert (video.codec_context.width, video.codec_context.height) == (
            account["width"],
            account["height"],
        )
    assert tags_of(tmp_path / "a.mp4")["synthetic_media"] == "true"


def test_several_speakers_are_pasted_into_the_whole_picture(
    model: Path, pair: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speakers = ("--speaker", f"1={words}", "--speaker", f"2={words}")
    assert animate(pair, *speakers, "-o", tmp_path / "a.mp4", "--model", model, *QUICK) == 0
    account = json.loads(capsys.readouterr().out)
    assert (account["width"], account["height"], account["frames"]) == (400, 240, 32)
    picture, frame = read_image(pair).astype(int), next(read_frames(tmp_path / "a.mp4")).astype(int)
    changed = np.abs(frame - picture).mean(2) > 40
    assert changed[:, 60:140].mean() > 0.3
    assert changed[:, 260:340].mean() > 0.3
    assert not changed[:, :10].any()


def test_without_rife_optical_flow_is_named(
    model: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "model"
    copy.mkdir()
    for part in model.iterdir():
        if part.name not in ("interpolator", "model_index.json"):
            (copy / part.name).symlink_to(part)
    index = json.loads((model / "model_index.json").read_text())
    del index["interpolator"]
    (copy / "model_index.json").write_text(json.dumps(index))
    arguments = (PORTRAIT, words, "-o", tmp_path / "a.mp4", "-y", "--model", copy, *QUICK)
    assert animate(*arguments) == 0
    account = json.loads(capsys.readouterr().out)
    assert account["interpolation"] == "optical flow (DIS)"
    assert [warning.split(":")[0] for warning in account["warnings"]] == ["The model has no RIFE weights"]
    assert animate(*arguments, "--fps", "12.5") == 0
    account = json.loads(capsys.readouterr().out)
    assert (account["frames"], account["interpolation"], account["warnings"]) == (16, None, [])
    assert animate(*arguments[:-1]) == 0
    assert "(interpolated frames by optical flow (DIS))" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "chunks", "frames"),
    [
        ((), [16, 16], 32),
        (("--as-reference",), [8, 8], 31),
        (("--decode-chunk", 8), [8, 8, 8, 8, 8], 32),
        (("--as-reference", "--decode-chunk", 5, "--fps", "12.5"), [5, 5, 5, 1], 16),
    ],
    ids=str,
)
def test_what_is_decoded_at_once_is_forecast_and_done(
    options: tuple,
    chunks: list[int],
    frames: int,
    model: Path,
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the frames of the file are those of the report and of the forecast."""
    from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder

    decode, decoded = AutoencoderKLTemporalDecoder.decode, []
    monkeypatch.setattr(
        AutoencoderKLTemporalDecoder,
        "decode",
        lambda self, z, *args, **kwargs: decoded.append(len(z)) or decode(self, z, *args, **kwargs),
    )
    arguments = (PORTRAIT, words, "-o", tmp_path / "a.mp4", "-y", "--model", model, *QUICK, *options)
    assert animate(*arguments) == 0
    account = json.loads(capsys.readouterr().out)
    assert animate(*arguments, "--dry-run") == 0
    plan = json.loads(capsys.readouterr().out)
    assert decoded == chunks
    assert plan["workload"]["chunk_frames"] == chunks[0]
    assert account["frames"] == plan["frames"] == frames
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].frames == frames
    assert plan["seconds"] == account["seconds"] == frames / account["options"]["fps"]


def test_offloading_on_a_cpu_is_forecast_to_free_nothing_and_halves_to_shrink_weights_alone(
    model: Path,
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forecast, "product_rate", lambda *_: 1e10)  # halves take a CPU long

    def workload(*options: object) -> dict:
        arguments = (PORTRAIT, words, "-o", tmp_path / "a.mp4", "--model", model, *QUICK, "--dry-run")
        assert animate(*arguments, "--device", "cpu", *options) == 0
        return json.loads(capsys.readouterr().out)["workload"]

    plain = workload()
    assert workload("--offload") == plain
    assert workload("--dtype", "float16") == plain | {"bytes_per_number": 2}
    reusing = workload("--reuse", 2)
    assert reusing == plain | {"predictions": plain["predictions"] // 2, "reusing_predictions": 3}
    assert (plain["frames_between"], workload("--fps", "12.5")["frames_between"]) == (16, 0)


def test_the_animated_face_returns_into_the_picture(
    model: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (PORTRAIT, words, "-o", tmp_path / "a.mp4", "--model", model, *QUICK)
    assert animate(*arguments, "--crop", "--paste-back") == 0
    account = json.loads(capsys.readouterr().out)
    picture = read_image(PORTRAIT)
    assert abs(account["height"] - picture.shape[0]) <= 1
    frame = next(iter(read_frames(tmp_path / "a.mp4")))
    corner = frame[-40:, -40:].astype(int) - picture[-41:-1, -41:-1][: frame.shape[0]]
    assert np.abs(corner).mean() < 8


@pytest.mark.parametrize("changes", [{"batch_branches": False}, {"windows_per_batch": 2}])
def test_how_much_runs_at_once_changes_nothing(
    changes: dict, pipeline: SonicPipeline, words: Path, latents: torch.Tensor
) -> None:
    torch.testing.assert_close(generate(pipeline, words, **changes), latents, atol=2e-4, rtol=1e-5)


def test_offloading_changes_nothing(model: Path, words: Path, latents: torch.Tensor) -> None:
    lean = SonicPipeline.from_pretrained(model, device="cpu", offload=True)
    torch.testing.assert_close(generate(lean, words), latents, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [0, 10, 8193])
def test_sizes_out_of_range(size: int, pipeline: SonicPipeline, words: Path) -> None:
    with pytest.raises(OptionOutOfRange, match=f"size = {size}; choose from 64 to 8192 px"):
        pipeline.animate(PORTRAIT, words, size=size)


def test_bfloat16_is_near(model: Path, words: Path, latents: torch.Tensor) -> None:
    half = SonicPipeline.from_pretrained(model, device="cpu", dtype="bfloat16")
    assert next(half.components.unet.parameters()).dtype == torch.bfloat16
    assert next(half.components.audio_to_tokens.parameters()).dtype == torch.float32
    near = generate(half, words)
    assert near.isfinite().all()
    assert (near - latents).square().mean().sqrt() < 0.3 * latents.std()


def test_an_overflow_is_told_and_mended(
    model: Path,
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As float16 does in decoders of this kind: no black frame is ever written silently."""
    from diffusers.models.autoencoders import autoencoder_kl_temporal_decoder as library

    decode = library.AutoencoderKLTemporalDecoder.decode

    def overflowing(self, z, *args, **kwargs):
        (frames,) = decode(self, z, *args, **kwargs)
        return (frames * (torch.nan if self.dtype == torch.bfloat16 else 1),)

    arguments = (PORTRAIT, words, "-o", tmp_path / "a.mp4", "--model", model, *QUICK, "--dtype", "bfloat16")
    monkeypatch.setattr(library.AutoencoderKLTemporalDecoder, "decode", overflowing)
    assert animate(*arguments) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert "overflowed in bfloat16" in warning
    assert all(frame.max() > 0 for frame in read_frames(tmp_path / "a.mp4"))

    def hopeless(self, z, *args, **kwargs):
        return (decode(self, z, *args, **kwargs)[0] * torch.nan,)

    (tmp_path / "a.mp4").unlink()
    monkeypatch.setattr(library.AutoencoderKLTemporalDecoder, "decode", hopeless)
    assert animate(*arguments) == 2
    assert "not finite even in float32" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert not list(tmp_path.iterdir())


def test_a_dry_run_predicts_and_refuses_what_will_not_fit(
    model: Path,
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = (PORTRAIT, words, "-o", tmp_path / "a.mp4", "--model", model, "--dry-run", "--json")
    predicted = []
    for size in (64, 128):
        assert animate(*arguments, "--size", size) == 0
        predicted.append(json.loads(capsys.readouterr().out))
    small, large = predicted
    assert small["predicted_memory_mb"] < large["predicted_memory_mb"]
    assert small["predicted_seconds"] < large["predicted_seconds"]
    monkeypatch.setattr(forecast, "free_bytes", lambda device: 1e8)
    assert animate(*arguments, "--size", 64) == 2
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert "0.1 GB free" in message
    assert "--sequential-guidance" in message
    assert not list(tmp_path.iterdir())


COMPONENTS = ["unet", "audio_to_tokens", "audio_to_bucket", "image_encoder", "audio_encoder", "vae"]


@pytest.mark.parametrize("damage", ["removed", "added", "transposed", "corrupted"])
@pytest.mark.parametrize("component", [*COMPONENTS, "interpolator"])
def test_a_damaged_tensor_is_refused_by_name(
    damage: str, component: str, model: Path, tmp_path: Path
) -> None:
    for part in model.iterdir():
        (tmp_path / part.name).symlink_to(part)
    (tmp_path / component).unlink()
    (tmp_path / component).mkdir()
    for file in (model / component).iterdir():
        (tmp_path / component / file.name).write_bytes(file.read_bytes())
    (weights,) = (tmp_path / component).glob("*.safetensors")
    tensors = load_file(weights)
    name = next(key for key, tensor in tensors.items() if tensor.ndim > 1 and len(set(tensor.shape[:2])) > 1)
    if damage == "corrupted":
        content = bytearray(weights.read_bytes())
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        content[8 + length + header[name]["data_offsets"][0] + 1] ^= 4
        weights.write_bytes(content)
    else:
        if damage == "removed":
            del tensors[name]
        elif damage == "added":
            name = "unknown.weight"
            tensors[name] = torch.zeros(1)
        else:
            tensors[name] = tensors[name].transpose(0, 1).contiguous()
        save_file(tensors, weights)
    with pytest.raises(InvalidCheckpoint, match=name.replace(".", r"\.")):
        SonicPipeline.from_pretrained(tmp_path, device="cpu")
