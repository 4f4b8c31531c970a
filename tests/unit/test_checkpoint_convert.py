"""A release in miniature becomes a model folder: equal values, or a refusal that names what is wrong."""

import itertools
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from fake_release import write_fake_release
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from sonimate.checkpoints import convert as conversion
from sonimate.checkpoints.convert import convert, verify_model
from sonimate.checkpoints.registry import Component, describe
from sonimate.checkpoints.release import Release
from sonimate.checkpoints.store import Shapes, expected_shapes, load_audio_encoder
from sonimate.errors import InvalidCheckpoint, OutputNotWritable

OLD = {"_use_new_zipfile_serialization": False}
Tensors = dict[str, Tensor]

UNET, TOKENS, BUCKET, RIFE = (
    "Sonic/unet.pth",
    "Sonic/audio2token.pth",
    "Sonic/audio2bucket.pth",
    "Sonic/RIFE/flownet.pkl",
)
CLIP, VAE = "svd/image_encoder/model.safetensors", "svd/vae/diffusion_pytorch_model.safetensors"
WHISPER = "whisper-tiny/model.safetensors"
MATRIX = {
    UNET: "time_embedding.linear_1.weight",
    TOKENS: "proj3.weight",
    BUCKET: "proj1.weight",
    RIFE: "module.block1.conv1.0.weight",
    CLIP: "vision_model.encoder.layers.0.mlp.fc1.weight",
    VAE: "encoder.conv_in.weight",
    WHISPER: "model.encoder.layers.2.fc1.weight",
}
"""A tensor of each file whose first two axes differ, by the file's own name."""


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole release."""
    folder = tmp_path_factory.mktemp("release")
    write_fake_release(folder)
    return folder


@pytest.fixture(autouse=True)
def architectures_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks' classes are not what is tested here, and building them takes most of the time."""
    monkeypatch.setattr(conversion, "expected_shapes", build_once)


def build_once(component: Component, config: dict[str, Any], source: str) -> Shapes:
    return _build(component, json.dumps(config), source)


@cache
def _build(component: Component, config: str, source: str) -> Shapes:
    return expected_shapes(component, json.loads(config), source)


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """The same, of which files may be replaced."""
    return Path(shutil.copytree(original, tmp_path / "release", copy_function=os.link))


def release(folder: Path) -> Release:
    return Release(sonic=folder / "Sonic", svd=folder / "svd", whisper=folder / "whisper-tiny")


def read(path: Path) -> Tensors:
    return load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)


def replace(path: Path, tensors: object, **options: Any) -> None:
    """Write another file of that name: the file itself is shared with other tests."""
    path.unlink()
    if path.suffix == ".safetensors":
        save_file(tensors, path)  # pyright: ignore[reportArgumentType]
    else:
        torch.save(tensors, path, **(options or OLD if path.suffix == ".pkl" else options))


@pytest.fixture(scope="session")
def models(original: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[torch.dtype, Path]:
    """The release converted to each type."""
    folder = tmp_path_factory.mktemp("models")
    outputs = {dtype: folder / str(dtype) for dtype in (torch.float16, torch.bfloat16, torch.float32)}
    for dtype, output in outputs.items():
        convert(release(original), output, dtype=dtype)
    return outputs


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_values_are_the_releases_in_the_wanted_type(
    original: Path, models: dict[torch.dtype, Path], dtype: torch.dtype
) -> None:
    sources = {
        "unet/model": (UNET, "", dtype),
        "audio_to_tokens/model": (TOKENS, "", torch.float32),
        "audio_to_bucket/model": (BUCKET, "", torch.float32),
        "image_encoder/model": (CLIP, "", dtype),
        "audio_encoder/model": (WHISPER, "model.encoder.", torch.float32),
        "vae/diffusion_pytorch_model": (VAE, "", dtype),
        "interpolator/model": (RIFE, "module.", torch.float32),
    }
    for ours, (theirs, prefix, kind) in sources.items():
        released = {
            name: tensor for name, tensor in read(original / theirs).items() if name.startswith(prefix)
        }
        converted = load_file(models[dtype] / f"{ours}.safetensors")
        assert {prefix + name for name in converted} == released.keys()
        for name, tensor in converted.items():
            assert tensor.dtype == kind
            assert torch.equal(tensor, released[prefix + name].to(kind)), name


def test_the_folder_is_a_saved_pipeline(models: dict[torch.dtype, Path]) -> None:
    model = models[torch.float16]
    assert json.loads((model / "model_index.json").read_text()) == {
        "_class_name": "SonicPipeline",
        "unet": ["sonimate", "SpatioTemporalUNet"],
        "audio_to_tokens": ["sonimate", "AudioToTokens"],
        "audio_to_bucket": ["sonimate", "AudioToBucket"],
        "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
        "audio_encoder": ["transformers", "WhisperEncoder"],
        "vae": ["diffusers", "AutoencoderKLTemporalDecoder"],
        "interpolator": ["sonimate", "IFNet"],
    }
    assert {part.name for part in describe(model)} == {path.name for path in model.iterdir() if path.is_dir()}
    for part in describe(model):
        halved = part.name in ("unet", "image_encoder", "vae")
        assert part.dtypes == ("F16" if halved else "F32",)


def test_the_libraries_load_their_components(original: Path, models: dict[torch.dtype, Path]) -> None:
    model = models[torch.float32]
    vae: Any = AutoencoderKLTemporalDecoder.from_pretrained(model / "vae")
    assert torch.equal(vae.state_dict()["quant_conv.bias"], read(original / VAE)["quant_conv.bias"])
    clip = CLIPVisionModelWithProjection.from_pretrained(model / "image_encoder")
    assert torch.equal(clip.visual_projection.weight, read(original / CLIP)["visual_projection.weight"])
    assert load_audio_encoder(model / "audio_encoder").dim == 16


def test_every_tensor_has_a_checksum(models: dict[torch.dtype, Path]) -> None:
    model = models[torch.bfloat16]
    checked = verify_model(model)
    assert checked["unet"] == len(load_file(model / "unet/model.safetensors"))
    assert checked.keys() == {part.name for part in describe(model)}


def removed(tensors: Tensors, name: str) -> None:
    del tensors[name]


def added(tensors: Tensors, name: str) -> None:
    tensors[name + ".more"] = torch.zeros(2)


def transposed(tensors: Tensors, name: str) -> None:
    tensors[name] = tensors[name].transpose(0, 1).contiguous()


def not_a_number(tensors: Tensors, name: str) -> None:
    tensors[name] = tensors[name].clone()
    tensors[name].view(-1)[7] = torch.nan


def infinite(tensors: Tensors, name: str) -> None:
    tensors[name] = tensors[name].clone()
    tensors[name].view(-1)[7] = -torch.inf


CASES = [
    *itertools.product((UNET, RIFE, VAE), (removed, added, transposed, not_a_number)),
    *itertools.product((TOKENS, BUCKET, CLIP, WHISPER), (transposed,)),
    (UNET, infinite),
]


@pytest.mark.parametrize(("file", "damage"), CASES)
def test_one_damaged_tensor_is_refused_by_name_and_nothing_is_left(
    folder: Path, file: str, damage: Callable[[Tensors, str], None]
) -> None:
    tensors = dict(read(folder / file))
    damage(tensors, MATRIX[file])
    replace(folder / file, tensors)
    with pytest.raises(InvalidCheckpoint) as caught:
        convert(release(folder), folder / "model")
    named = MATRIX[file].removeprefix("module.").removeprefix("model.encoder.")
    assert named in str(caught.value)
    assert str(folder / file) in str(caught.value)
    assert set(os.listdir(folder)) == {"Sonic", "svd", "whisper-tiny"}


@pytest.mark.parametrize("file", [UNET, RIFE])
def test_one_flipped_bit_in_an_archive_is_refused_by_name(folder: Path, file: str) -> None:
    path, name = folder / file, MATRIX[file]
    tensors = read(path)
    replace(path, tensors, _use_new_zipfile_serialization=True)
    content = bytearray(path.read_bytes())
    content[content.index(tensors[name].numpy().tobytes()) + 101] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(InvalidCheckpoint, match=f"damaged at {name}"):
        convert(release(folder), folder / "model")
    assert not (folder / "model").exists()


def test_values_beyond_half_precision_need_another_type(folder: Path) -> None:
    tensors = read(folder / UNET)
    tensors["conv_out.bias"][2] = 70_000.0
    replace(folder / UNET, tensors)
    with pytest.raises(InvalidCheckpoint, match=r"conv_out\.bias .* 7e\+04, beyond .*bfloat16 or float32"):
        convert(release(folder), folder / "model")
    convert(release(folder), folder / "model", dtype=torch.bfloat16)
    converted = load_file(folder / "model/unet/model.safetensors")["conv_out.bias"]
    assert converted[2].item() == pytest.approx(70_000, rel=2**-8)


def test_integers_are_no_weights(folder: Path) -> None:
    tensors = read(folder / UNET)
    replace(folder / UNET, tensors | {"conv_out.bias": tensors["conv_out.bias"].long()})
    with pytest.raises(InvalidCheckpoint, match=r"conv_out\.bias .* has the type torch\.int64"):
        convert(release(folder), folder / "model")


@pytest.mark.parametrize(("file", "wrapped"), [(UNET, True), (TOKENS, True), (BUCKET, True), (RIFE, False)])
def test_training_wrappers_are_removed_only_where_the_key_map_says_so(
    folder: Path, file: str, wrapped: bool
) -> None:
    tensors = {
        f"module.{name.removeprefix('module.')}": tensor for name, tensor in read(folder / file).items()
    }
    replace(folder / file, {"epoch": 3, "state_dict": tensors})
    if wrapped:
        assert [part.component.name for part in conversion.plan_parts(release(folder), torch.float16)]
    else:
        with pytest.raises(InvalidCheckpoint, match="'epoch'"):
            conversion.plan_parts(release(folder), torch.float16)


def test_without_rife_the_model_has_no_interpolator(folder: Path) -> None:
    (folder / RIFE).unlink()
    convert(release(folder), folder / "model")
    assert "interpolator" not in {part.name for part in describe(folder / "model")}


def test_without_svds_unet_config_the_unet_is_the_full_one(folder: Path) -> None:
    (folder / "svd/unet/config.json").unlink()
    with pytest.raises(InvalidCheckpoint, match="the model 1492"):
        convert(release(folder), folder / "model")


BAD = [
    ("vae", ""),
    ("vae", "[]"),
    ("image_encoder", '{"image_size": ""}'),
    ("unet", '{"block_out_channels": 5}'),
]


@pytest.mark.parametrize(("component", "content"), BAD)
def test_damaged_configs_are_refused(folder: Path, component: str, content: str) -> None:
    path = folder / "svd" / component / "config.json"
    path.unlink()
    path.write_text(content)
    with pytest.raises(InvalidCheckpoint, match=r"config\.json"):
        convert(release(folder), folder / "model")


def test_components_of_other_widths_do_not_belong_together(folder: Path) -> None:
    tensors = read(folder / TOKENS)
    replace(folder / TOKENS, tensors | {"proj1.weight": torch.zeros(48, 10 * 5 * 24)})
    with pytest.raises(InvalidCheckpoint, match=r"Whisper's features, .* have the width 16, not 24"):
        convert(release(folder), folder / "model")


def test_an_output_in_use_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    nothing = Release(sonic=tmp_path, svd=tmp_path, whisper=tmp_path)
    (tmp_path / "file").touch()
    for output in (tmp_path, tmp_path / "file", tmp_path / "no/folder"):
        with pytest.raises(OutputNotWritable):
            convert(nothing, output)


def test_an_empty_output_folder_is_used(folder: Path) -> None:
    (folder / "model").mkdir()
    convert(release(folder), folder / "model")
    assert verify_model(folder / "model")


def test_too_small_a_disk_is_refused_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    monkeypatch.setattr(conversion, "complete_folder", None)
    with pytest.raises(OutputNotWritable, match=r"needs room for .* GB, but the disk has 0\.00 GB"):
        convert(release(folder), folder / "model")


def test_an_interruption_leaves_nothing(folder: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "vae" and done == 3:
            assert len(os.listdir(folder)) == 4
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(release(folder), folder / "model", progress=interrupt)
    assert set(os.listdir(folder)) == {"Sonic", "svd", "whisper-tiny"}
