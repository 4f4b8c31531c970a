"""`sonimate models`: convert a release in miniature, and list, describe and check the result."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_release import write_fake_release
from safetensors import safe_open

from sonimate.apps.cli import main
from sonimate.checkpoints.release import Release

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return write_fake_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def converted(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model converted by the command."""
    output = tmp_path_factory.mktemp("models") / "mine"
    assert models("convert", *options(release), "-o", output) == 0
    return output


@pytest.fixture
def model(converted: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(converted, tmp_path / "mine"))


def models(*arguments: object) -> int:
    return main(["models", *map(str, arguments)])


def options(release: Release) -> tuple[object, ...]:
    return "--sonic", release.sonic, "--svd", release.svd, "--whisper", release.whisper


def output_of(capsys: Capture, *arguments: object) -> Any:
    assert models(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_convert_gives_an_account(release: Release, tmp_path: Path, capsys: Capture) -> None:
    account = output_of(capsys, "convert", *options(release), "-o", tmp_path / "m", "--dtype", "bfloat16")
    assert account["model"] == str(tmp_path / "m")
    types = {part["name"]: part["dtypes"] for part in account["components"]}
    assert types["unet"] == types["vae"] == types["image_encoder"] == ["BF16"]
    assert types["audio_encoder"] == types["interpolator"] == ["F32"]
    assert [*account["stages"]] == ["check", *types, "verify"]
    assert account["peak_memory_mb"] > 0


def test_convert_shows_its_progress_on_standard_error(
    release: Release, tmp_path: Path, capsys: Capture
) -> None:
    assert models("convert", *options(release), "-o", tmp_path / "m") == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in err.splitlines()][:2] == ["check", "unet"]
    assert out.splitlines()[-1].startswith(f"{tmp_path / 'm'} is complete")


def test_convert_finds_rife_beside_the_release_or_says_that_it_is_absent(
    release: Release, tmp_path: Path, capsys: Capture
) -> None:
    """In the authors' layout, checkpoints/RIFE/flownet.pkl is beside checkpoints/Sonic."""
    sonic = Path(shutil.copytree(release.sonic, tmp_path / "checkpoints/Sonic"))
    (sonic / "RIFE").rename(tmp_path / "checkpoints/RIFE")
    parts = ("--sonic", sonic, "--svd", release.svd, "--whisper", release.whisper)
    account = output_of(capsys, "convert", *parts, "-o", tmp_path / "with")
    assert "interpolator" in {part["name"] for part in account["components"]}
    assert account["warnings"] == []
    shutil.rmtree(tmp_path / "checkpoints/RIFE")
    account = output_of(capsys, "convert", *parts, "-o", tmp_path / "without")
    assert "interpolator" not in {part["name"] for part in account["components"]}
    (warning,) = account["warnings"]
    assert "flownet.pkl was not found" in warning
    assert "optical flow" in warning
    assert models("convert", *parts, "-o", tmp_path / "again") == 0
    assert f"sonimate: warning: {warning}" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_convert_refuses_with_exit_code_2_and_one_line(
    release: Release, tmp_path: Path, capsys: Capture, damage: str
) -> None:
    sonic = Path(shutil.copytree(release.sonic, tmp_path / "sonic"))
    if damage == "missing":
        (sonic / "unet.pth").unlink()
    else:
        (sonic / "unet.pth").write_bytes((release.sonic / "unet.pth").read_bytes()[:-999])
    changed = Release(sonic=sonic, svd=release.svd, whisper=release.whisper)
    assert models("convert", *options(changed), "-o", tmp_path / "m") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sonimate: error: ")
    assert "unet.pth" in line
    assert not (tmp_path / "m").exists()


def test_info_counts_what_the_folder_holds(model: Path, capsys: Capture) -> None:
    components = output_of(capsys, "info", model)["components"]
    for part in components:
        folder = model / part["name"]
        assert part["size_bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    unet = components[0]
    assert (unet["name"], unet["class_name"], unet["dtypes"]) == ("unet", "SpatioTemporalUNet", ["F16"])
    assert 2 * unet["parameters"] < unet["size_bytes"] < 2 * unet["parameters"] + 120_000  # and the header
    assert models("info", model) == 0
    text = capsys.readouterr().out
    assert f"{unet['parameters']:,}" in text
    assert "total" in text


def test_list_names_the_bundled_models_then_those_of_folders(
    model: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert [entry["model"] for entry in output_of(capsys, "list")] == ["compact"]
    for folder in (model, tmp_path):
        assert [entry["model"] for entry in output_of(capsys, "list", folder)] == ["compact", str(model)]


def test_list_names_folders_that_hold_no_model_and_goes_on(
    model: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A folder of downloads also holds other pipelines, and models whose copy broke off."""
    for name, index in {
        "a foreign one": {"_class_name": "StableDiffusionPipeline", "safety_checker": [None, None]},
        "another": {"unet": ["sonimate", "SpatioTemporalUNet"]},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text(json.dumps(index))
    listed = {Path(entry["model"]).name: entry for entry in output_of(capsys, "list", tmp_path)}
    assert [*listed] == ["compact", "a foreign one", "another", "mine"]
    assert "StableDiffusionPipeline" in listed["a foreign one"]["problem"]
    assert "another/unet" in listed["another"]["problem"]
    assert listed["mine"]["size_bytes"] > 0
    assert models("list", tmp_path) == 0
    assert "describes a StableDiffusionPipeline" in capsys.readouterr().out


def test_list_refuses_a_path_that_is_no_folder(tmp_path: Path, capsys: Capture) -> None:
    assert models("list", tmp_path / "nowhere") == 2
    assert "nowhere is not a folder" in capsys.readouterr().err


def test_list_and_info_load_no_torch() -> None:
    code = (
        "import sys; from sonimate.apps.cli import main; main(['models', 'list']); "
        "main(['models', 'info', 'compact']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_verify_passes_whole_models(model: Path, capsys: Capture) -> None:
    checksums = output_of(capsys, "verify", "compact")["checksums"]
    assert (checksums["unet"], checksums["audio_encoder"]) == (440, 0)  # ours have some, OpenAI's none
    checksums = output_of(capsys, "verify", model)["checksums"]
    assert checksums["interpolator"] == 160  # tests/golden/manifests/summary.json
    assert models("verify", model) == 0
    assert f"{sum(checksums.values())} checksums agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    "file",
    ["unet/model.safetensors", "vae/diffusion_pytorch_model.safetensors", "audio_encoder/model.safetensors"],
)
def test_verify_names_the_damaged_tensor(model: Path, file: str, capsys: Capture) -> None:
    with safe_open(model / file, framework="pt") as tensors:
        last = tensors.offset_keys()[-1]
    flip_last_byte(model / file)
    assert models("verify", model) == 2
    assert f"{file} is damaged: {last} differs from its checksum" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda model: (model / "unet/config.json").write_text("{}"), "unet"),
        (lambda model: (model / "vae/config.json").unlink(), "vae"),
        (lambda model: (model / "audio_to_tokens/model.safetensors").unlink(), "audio_to_tokens"),
        (lambda model: (model / "model_index.json").write_text('{"unet": 3}'), "model_index.json"),
    ],
)
def test_verify_refuses_incomplete_models(model: Path, damage: Any, named: str, capsys: Capture) -> None:
    damage(model)
    assert models("verify", model) == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


def test_unknown_models_are_refused(capsys: Capture) -> None:
    for action in ("info", "verify"):
        assert models(action, "nowhere") == 2
        assert "There is no model 'nowhere'" in capsys.readouterr().err
