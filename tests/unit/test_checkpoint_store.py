"""A model folder loads as it was saved, or is refused by the name of what is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_release import write_fake_release
from safetensors.torch import load_file

from sonimate.checkpoints.convert import convert, verify_model
from sonimate.checkpoints.registry import FULL_COMPONENTS
from sonimate.checkpoints.store import load_components, save_components
from sonimate.checkpoints.stream import SafetensorsFile
from sonimate.errors import InvalidCheckpoint

EXACT = ("audio_to_tokens", "audio_to_bucket", "audio_encoder", "interpolator")
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full model in miniature, in float32."""
    folder = tmp_path_factory.mktemp("saved")
    convert(write_fake_release(folder), folder / "model", dtype=torch.float32)
    return folder / "model"


@pytest.fixture
def changed(original: Path, tmp_path: Path) -> Callable[[str, str], Path]:
    """The same, but for one file."""

    def change(file: str, content: str) -> Path:
        for part in original.iterdir():
            if part.is_file():
                (tmp_path / part.name).write_bytes(part.read_bytes())
                continue
            (tmp_path / part.name).mkdir()
            for own in part.iterdir():
                (tmp_path / part.name / own.name).symlink_to(own)
        (tmp_path / file).unlink()
        (tmp_path / file).write_text(content)
        return tmp_path

    return change


def test_saving_loses_nothing_of_the_networks_that_stay_float32(original: Path, tmp_path: Path) -> None:
    save_components(load_components(original), tmp_path, torch.float16)
    for name in EXACT:
        before, after = load_file(original / name / WEIGHTS), load_file(tmp_path / name / WEIGHTS)
        assert before.keys() == after.keys()
        for tensor in before:
            torch.testing.assert_close(after[tensor], before[tensor], atol=0, rtol=0)
        assert SafetensorsFile(tmp_path / name / WEIGHTS).checksums.keys() == before.keys()
    assert [*verify_model(tmp_path)] == [part.name for part in FULL_COMPONENTS]


@pytest.mark.parametrize(
    ("value", "told"), [(1e5, r"holds 1e\+05, beyond torch\.float16"), (torch.nan, "holds NaN")]
)
def test_what_a_type_cannot_hold_is_refused_by_name(
    original: Path, tmp_path: Path, value: float, told: str
) -> None:
    components = load_components(original)
    with torch.no_grad():
        components.unet.get_parameter("conv_in.bias")[3] = value
    with pytest.raises(InvalidCheckpoint, match=rf"conv_in\.bias of unet {told}"):
        save_components(components, tmp_path, torch.float16)
    assert not (tmp_path / "unet" / WEIGHTS).exists()


def test_a_wider_type_holds_it(original: Path, tmp_path: Path) -> None:
    components = load_components(original)
    with torch.no_grad():
        components.unet.get_parameter("conv_in.bias")[3] = 1e5
    save_components(components, tmp_path, torch.float32)
    assert load_file(tmp_path / "unet" / WEIGHTS)["conv_in.bias"][3] == 1e5


DAMAGES = [
    ("vae", {"block_out_channels": 5}),
    ("vae", {"down_block_types": ["Unknown"] * 4}),
    ("image_encoder", {"hidden_size": "wide"}),
    ("image_encoder", {"num_attention_heads": 0}),
    ("unet", {"norm_num_groups": 7}),
    ("unet", {"block_out_channels": [32, "x"]}),
    ("unet", {"unknown": 1}),
    ("audio_to_tokens", {"output_dim": -1}),
    ("audio_to_bucket", {"channels": None}),
    ("audio_encoder", {"d_model": 10**18}),
]


@pytest.mark.parametrize(("component", "damage"), DAMAGES)
def test_a_config_that_describes_no_network_is_refused_by_its_component(
    original: Path, changed: Callable[[str, str], Path], component: str, damage: dict[str, Any]
) -> None:
    file = f"{component}/config.json"
    content = json.loads((original / file).read_text()) | damage
    with pytest.raises(InvalidCheckpoint, match=component) as refusal:
        load_components(changed(file, json.dumps(content)))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", ["5", "[]", "null", "", '"vae"'])
def test_an_index_that_lists_nothing_is_refused(changed: Callable[[str, str], Path], content: str) -> None:
    with pytest.raises(InvalidCheckpoint, match=r"model_index\.json is damaged"):
        load_components(changed("model_index.json", content))
