"""The full size from Stable Video Diffusion's files to a talking video, in miniature."""

import json
import shutil
from dataclasses import asdict, replace
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from command import PORTRAIT
from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
from faces import canonical_landmarks
from fake_release import UNET, write_fake_release
from safetensors.torch import load_file

from sonimate.apps.cli import main
from sonimate.checkpoints import initialise as initialise_module
from sonimate.checkpoints.initialise import initialise
from sonimate.codecs.svd.autoencoder import SVDCodec
from sonimate.configs import FULL
from sonimate.errors import FileMissing, FolderOfAnotherRun, OutputNotWritable
from sonimate.face.pose import Pose
from sonimate.features.latents import (
    BUCKET_SCALE,
    RECORD,
    FrozenNetworks,
    LatentClip,
    read_latents,
    write_latents,
)
from sonimate.footage.clip_id import ClipId
from sonimate.footage.sample import RESULTS_VERSION
from sonimate.footage.shards import CLIPS, read_shards, write_shards
from sonimate.inputs import read_inputs
from sonimate.media.folders import FolderRecord
from sonimate.media.video import read_frames
from sonimate.media.video_writer import VideoWriter
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline
from sonimate.train.run_folder import RunFolder
from sonimate.types import Waveform

SIDE_PX, FRAMES = 64, 24
CPU = torch.device("cpu")
RECIPE = {
    "model": "full",
    "steps": 2,
    "warmup_steps": 1,
    "batch_size": 2,
    "frames": 4,
    "gradient_checkpointing": True,
    "bucket_steps": 2,
    "bucket_batch_size": 2,
    "validation_clips": 1,
    "sampling": {"steps": 1},
}


@pytest.fixture(scope="module")
def svd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of SVD and Whisper as their publishers have them."""
    release = write_fake_release(tmp_path_factory.mktemp("release"))
    theirs = signature(UNetSpatioTemporalConditionModel).parameters
    values = {name: value for name, value in asdict(UNET).items() if name in theirs}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        UNetSpatioTemporalConditionModel(**values).save_pretrained(release.svd / "unet")
    return release.svd, release.whisper


@pytest.fixture(scope="module")
def start(svd: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "model"
    arguments = ["--svd", svd[0], "--whisper", svd[1], "-o", folder, "--dtype", "float32"]
    assert main(["models", "initialise", *map(str, arguments)]) == 0
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips in two shards: a gray level that wanders, and noise for a voice."""
    folder = tmp_path_factory.mktemp("shards")
    stems = []
    for name in ("a", "b"):
        rng = np.random.default_rng(ord(name))
        stem = folder / name
        gray = rng.integers(40, 200, size=(FRAMES, 1, 1, 3)) + np.zeros((1, SIDE_PX, SIDE_PX, 1), int)
        with VideoWriter(stem.with_suffix(".mp4"), width=SIDE_PX, height=SIDE_PX, same_bytes=True) as writer:
            for frame in gray.astype(np.uint8):
                writer.write(frame)
        write_wav(stem.with_suffix(".wav"), Waveform(0.1 * rng.normal(size=FRAMES * 640), 16_000))
        pose = Pose(np.full(FRAMES, 2.0), np.tile(np.eye(3), (FRAMES, 1, 1)), np.full((FRAMES, 3), 32.0))
        np.save(folder / f"{name}.landmarks.npy", canonical_landmarks(pose).astype(np.float32))
        record = {
            "version": RESULTS_VERSION,
            "clip": str(ClipId(name)),
            "speaker": name,
            "crop": {"size_px": SIDE_PX},
            "face_box": {"box": [16.0, 16.0, 48.0, 48.0]},
            "buckets": {"head": 5.0, "expression": 20.0},
        }
        stem.with_suffix(".json").write_text(json.dumps(record))
        stems.append(stem)
    write_shards(folder, CLIPS, stems, max_bytes=1)
    return folder


@pytest.fixture(scope="module")
def data(shards: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    assert write_latents(shards, folder, start, device=CPU, size_px=None) == 2
    return folder


def test_training_starts_as_stable_video_diffusion(svd: tuple[Path, Path], start: Path) -> None:
    """Every tensor of SVD's is there; the new ones are copies of the image's projections (NOTES 3.1)."""
    theirs = load_file(svd[0] / "unet" / "diffusion_pytorch_model.safetensors")
    ours = load_file(start / "unet" / "model.safetensors")
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    new = {name: tensor for name, tensor in ours.items() if name not in theirs}
    assert new.keys() == {name for name in ours if "_ip.0." in name}
    for name, tensor in new.items():
        assert torch.equal(tensor, theirs[name.replace("processor.", "").replace("_ip.0.", ".")])
    SonicPipeline.from_pretrained(start, device="cpu")


def test_a_missing_unet_is_named(svd: tuple[Path, Path], tmp_path: Path) -> None:
    for part in ("vae", "image_encoder"):
        (tmp_path / part).symlink_to(svd[0] / part)
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text((svd[0] / "unet" / "config.json").read_text())
    with pytest.raises(FileMissing, match=r"unet holds none of diffusion_pytorch_model\.safetensors"):
        initialise(tmp_path, svd[1], tmp_path / "model", dtype=torch.float32)
    assert not (tmp_path / "model").exists()


def test_too_small_a_disk_is_refused_before_the_unet_is_written(
    svd: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    monkeypatch.setattr(initialise_module, "convert", None)
    with pytest.raises(OutputNotWritable, match="needs room"):
        initialise(*svd, tmp_path / "model", dtype=torch.float32)
    assert list(tmp_path.iterdir()) == []


def test_features_are_the_results_of_the_frozen_networks(shards: Path, data: Path, start: Path) -> None:
    frozen = FrozenNetworks.load(start, CPU)
    assert isinstance(frozen.codec, SVDCodec)
    clips: list[LatentClip] = read_latents(data, start)
    assert [clip.clip_id for clip in clips] == [ClipId("a"), ClipId("b")]
    for clip, source in zip(clips, read_shards(shards), strict=True):
        assert clip.latents.shape == (FRAMES // 2, 4, SIDE_PX // 8, SIDE_PX // 8)
        path = data / "clip.mp4"
        path.write_bytes(source.read(".mp4"))
        frames = list(read_frames(path, fps=None))[::2]
        expected = frozen.codec.encode(frames[-1:])[0]
        torch.testing.assert_close(torch.from_numpy(np.array(clip.latents[-1])), expected.half())
        hidden = frozen.audio_encoder(source.sound())
        torch.testing.assert_close(torch.from_numpy(np.array(clip.hidden)), hidden.half())
        assert clip.image.shape == (FRAMES // 2, UNET.cross_attention_dim)
        mask = clip.mask()
        assert mask.shape == (SIDE_PX, SIDE_PX)
        assert (mask[32, 32].item(), mask[4, 4].item()) == (1.0, 0.0)
        np.testing.assert_array_equal(clip.shard.landmarks(), source.landmarks())


def test_features_are_computed_once_and_for_missing_shards_again(
    shards: Path, data: Path, start: Path
) -> None:
    assert write_latents(shards, data, start, device=CPU, size_px=None) == 0
    last = data / "latents-000001.tar"
    before = last.read_bytes()
    last.unlink()
    assert write_latents(shards, data, start, device=CPU, size_px=None) == 1
    assert last.read_bytes() == before
    with pytest.raises(FolderOfAnotherRun, match=r"differs in size_px \(None there, 128 here\)"):
        write_latents(shards, data, start, device=CPU, size_px=128)


def test_the_verb_computes_features_of_a_size(
    shards: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["features", str(shards), "-o", str(tmp_path / "data"), "--model", str(start), "--size", "128"]
    assert main([*command, "--device", "cpu"]) == 0
    assert "2 shards written" in capsys.readouterr().out
    assert [clip.latents.shape[2:] for clip in read_latents(tmp_path / "data", start)] == [(16, 16)] * 2
    assert main([*command, "--calibrate-buckets"]) == 2
    assert "2 clips; a calibration needs 8 or more" in capsys.readouterr().err


def test_a_trained_model_animates(data: Path, start: Path, words: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    command = ["train", str(recipe), "--data", str(data), "-o", str(tmp_path / "run"), "--init", str(start)]
    assert main([*command, "--set", "motion_controller=false", "learning_rate=1e-2"]) == 0
    assert list(RunFolder(tmp_path / "run").losses()) == [0, 1]
    assert len(list((tmp_path / "run" / "validation" / "step-000002").glob("*.mp4"))) == 1
    model = tmp_path / "run" / "model"
    assert json.loads((model / "unet" / "config.json").read_text())["without"] == ["motion_controller"]
    for name in ("unet", "audio_to_tokens", "audio_to_bucket"):
        trained, untrained = (load_file(f / name / "model.safetensors") for f in (model, start))
        changes = [(trained[key].float() - untrained[key]).abs().max().item() for key in untrained]
        assert max(changes) > 1e-3
    pipeline = SonicPipeline.from_pretrained(model, device="cpu")
    inputs = read_inputs(PORTRAIT, words, size=None)
    still, lively = (
        pipeline.generate(
            inputs.portrait, inputs.waveform, sampling=replace(FULL, steps=1, dynamic_scale=scale), size=64
        )[0]
        for scale in (0.5, 2.0)
    )
    assert torch.equal(still, lively)


def test_training_warns_that_motion_buckets_have_another_unit(
    data: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE | {"steps": 1, "bucket_steps": 0, "validation_clips": 0}))
    train = ["train", str(recipe), "--data", str(data)]
    assert main([*train, "-o", str(tmp_path / "one"), "--init", str(start)]) == 0
    assert "motion buckets in sonimate's own unit" in capsys.readouterr().err
    assert main([*train, "-o", str(tmp_path / "two"), "--init", str(tmp_path / "one")]) == 0
    assert "own unit" not in capsys.readouterr().err
    calibrated = tmp_path / "calibrated"
    shutil.copytree(data, calibrated)
    record = FolderRecord(calibrated / RECORD)
    record.write({**(record.read() or {}), BUCKET_SCALE: [1.0, 1.0]})
    train = ["train", str(recipe), "--data", str(calibrated)]
    assert main([*train, "-o", str(tmp_path / "three"), "--init", str(start)]) == 0
    assert "own unit" not in capsys.readouterr().err


def test_the_full_size_needs_a_model_to_start_from(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    for init in ([], ["--init", "compact"]):
        assert main(["train", str(recipe), "--data", str(data), "-o", str(tmp_path / "run"), *init]) == 2
        assert "Give its folder by --init" in capsys.readouterr().err
