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
from sonimate.checkpoints.registry import COMPACT_COMPONENTS, FULL_COMPONENTS, read_index
from sonimate.checkpoints.store import load_components, save_components
from sonimate.checkpoints.stream import SafetensorsFile
from sonimate.codecs.svd.autoencoder import SVDCodec
from sonimate.codecs.svd.interpolation import FlowMiddle, RifeMiddle
from sonimate.errors import InvalidCheckpoint, OutputNotWritable

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
    ("value", "message"), [(1e5, r"holds 1e\+05, beyond torch\.float16"), (torch.nan, "holds NaN")]
)
def test_what_a_type_cannot_hold_is_refused_by_name(
    original: Path, tmp_path: Path, value: float, message: str
) -> None:
    components = load_components(original)
    with torch.no_grad():
        components.unet.get_parameter("conv_in.bias")[3] = value
    with pytest.raises(InvalidCheckpoint, match=rf"conv_in\.bias of unet {message}"):
        save_components(components, tmp_path, torch.float16)
    assert not (tmp_path / "unet" / WEIGHTS).exists()


def test_a_wider_type_holds_it(original: Path, tmp_path: Path) -> None:
    components = load_components(original)
    with torch.no_grad():
        components.unet.get_parameter("conv_in.bias")[3] = 1e5
    save_components(components, tmp_path, torch.float32)
    assert load_file(tmp_path / "unet" / WEIGHTS)["conv_in.bias"][3] == 1e5


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_other_folders_are_left_alone_and_not_listed(tmp_path: Path) -> None:
    """A compact model saved beside a folder named as a component of the full model loads as what it is."""
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/notes.txt").write_text("mine")
    (tmp_path / "interpolator").mkdir()
    compact = load_components("compact")
    save_components(compact, tmp_path, torch.float32)
    assert read_index(tmp_path) == list(COMPACT_COMPONENTS)
    again = load_components(tmp_path)
    assert not again.full
    for name, tensor in compact.unet.state_dict().items():
        assert torch.equal(again.unet.state_dict()[name], tensor)
    assert (tmp_path / "vae/notes.txt").read_text() == "mine"


def test_an_interpolator_of_an_earlier_model_is_not_used(original: Path, tmp_path: Path) -> None:
    save_components(load_components(original), tmp_path)
    assert isinstance(svd_codec(tmp_path).middle, RifeMiddle)
    without = load_components(original)
    svd = without.codec
    assert isinstance(svd, SVDCodec)
    svd.middle = FlowMiddle()
    save_components(without, tmp_path)
    assert isinstance(svd_codec(tmp_path).middle, FlowMiddle)


def svd_codec(model: Path) -> SVDCodec:
    codec = load_components(model).codec
    assert isinstance(codec, SVDCodec)
    return codec


@pytest.mark.parametrize("full", [True, False])
def test_a_model_of_the_other_size_is_not_overwritten(original: Path, tmp_path: Path, full: bool) -> None:
    models = {True: load_components(original), False: load_components("compact")}
    save_components(models[full], tmp_path)
    before = contents(tmp_path)
    there, new = ("full", "compact") if full else ("compact", "full")
    with pytest.raises(OutputNotWritable, match=f"holds a model of the {there} size.* the {new} size"):
        save_components(models[not full], tmp_path)
    assert contents(tmp_path) == before
    save_components(models[full], tmp_path)
    assert load_components(tmp_path).full == full


def test_an_index_without_a_component_is_refused(changed: Callable[[str, str], Path], original: Path) -> None:
    index = json.loads((original / "model_index.json").read_text())
    del index["audio_to_bucket"]
    with pytest.raises(InvalidCheckpoint, match="lists no audio_to_bucket"):
        load_components(changed("model_index.json", json.dumps(index)))


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
