"""Finding the released files in a user's folders, whatever their case, form and depth."""

from dataclasses import replace
from pathlib import Path

import pytest

from sonimate.checkpoints.release import Release
from sonimate.errors import FileMissing, InvalidCheckpoint

FILES = (
    "sonic/unet.pth",
    "sonic/audio2token.pth",
    "sonic/audio2bucket.pth",
    "sonic/RIFE/flownet.pkl",
    "svd/vae/diffusion_pytorch_model.safetensors",
    "svd/image_encoder/model.safetensors",
    "whisper/model.safetensors",
)
CONFIGS = ("svd/vae/config.json", "svd/image_encoder/config.json", "whisper/config.json")


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """All files by name, with nothing in them."""
    for name in (*FILES, *CONFIGS):
        add(tmp_path / name)
    return Release(sonic=tmp_path / "sonic", svd=tmp_path / "svd", whisper=tmp_path / "whisper")


def add(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")


def test_every_component_has_its_file(release: Release, tmp_path: Path) -> None:
    assert {str(path.relative_to(tmp_path)) for path in release.files().values()} == set(FILES)
    assert release.configs().keys() == {"image_encoder", "audio_encoder", "vae"}
    add(tmp_path / "svd/unet/config.json")
    assert "unet" in release.configs()


@pytest.mark.parametrize("name", [*FILES[:3], *FILES[4:], *CONFIGS])
def test_what_is_missing_is_named(release: Release, tmp_path: Path, name: str) -> None:
    (tmp_path / name).unlink()
    with pytest.raises(FileMissing, match=Path(name).name):
        print(release.files(), release.configs())


def test_case_does_not_matter_and_the_least_deep_file_is_taken(release: Release) -> None:
    (release.sonic / "unet.pth").rename(release.sonic / "UNet.PTH")
    add(release.sonic / "old/unet.pth")
    assert release.files()["unet"] == release.sonic / "UNet.PTH"


def test_of_two_files_equally_deep_none_is_guessed(release: Release) -> None:
    (release.sonic / "unet.pth").unlink()
    for folder in "ab":
        add(release.sonic / folder / "unet.pth")
    with pytest.raises(InvalidCheckpoint, match=r"There are several: .*a/unet\.pth, .*b/unet\.pth"):
        release.files()


def test_rife_may_be_elsewhere_or_nowhere(release: Release, tmp_path: Path) -> None:
    rife = (release.sonic / "RIFE/flownet.pkl").rename(tmp_path / "flownet.pkl")
    assert "interpolator" not in release.files()
    assert replace(release, rife=rife).files()["interpolator"] == rife
    with pytest.raises(FileMissing, match=r"nothing\.pkl does not exist"):
        replace(release, rife=tmp_path / "nothing.pkl").files()


@pytest.mark.parametrize("folder", ["RIFE", "rife"])
def test_rife_is_found_in_the_authors_layout(release: Release, tmp_path: Path, folder: str) -> None:
    """Its folder is beside that of Sonic's other files."""
    (tmp_path / folder).mkdir()
    rife = (release.sonic / "RIFE/flownet.pkl").rename(tmp_path / folder / "flownet.pkl")
    assert release.files()["interpolator"] == rife
    nearer = tmp_path / "sonic/flownet.pkl"
    add(nearer)
    assert release.files()["interpolator"] == nearer


def test_the_most_exact_form_is_taken(release: Release) -> None:
    """Full precision before half, safetensors before pickles."""
    forms = ("pytorch_model.fp16.bin", "model.fp16.safetensors", "pytorch_model.bin", "model.safetensors")
    (release.svd / "image_encoder/model.safetensors").unlink()
    for form in forms:
        add(release.svd / "image_encoder" / form)
        assert release.files()["image_encoder"].name == form
