"""A full-size UNet file with one wrong tensor is refused by the tensor's name, without reading its 3 GB.

The files are sparse: headers, and as many bytes that no disk holds as the values would take.
"""

import json
import math
import struct
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest
from manifests import read_manifest

from sonimate.checkpoints import convert, store
from sonimate.checkpoints.convert import open_component
from sonimate.checkpoints.registry import CONFIG, UNET, Component
from sonimate.checkpoints.store import expected_shapes, load_network
from sonimate.checkpoints.stream import Shapes
from sonimate.errors import InvalidCheckpoint
from sonimate.models.unet import UNetConfig

MANIFEST = Path(__file__).parents[1] / "golden/manifests/unet.pth.json.gz"
PARAMETERS = 1_575_741_162
NAME = "mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_k_ip.0.weight"
FLOAT16_BYTES = 2


@cache
def built_once() -> Shapes:
    return expected_shapes(UNET, asdict(UNetConfig()), "unet")


def write_sparse(folder: Path, shapes: Shapes) -> Path:
    """A component's folder whose tensors are float16 zeros."""
    folder.mkdir()
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * FLOAT16_BYTES
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    with (folder / UNET.weights).open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    (folder / CONFIG).write_text(json.dumps(asdict(UNetConfig())))
    return folder


def unread(*_: object) -> None:
    raise AssertionError("the values were read")


@pytest.fixture(autouse=True)
def values_stay_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def shapes_built_once(component: Component, config: dict, source: str) -> Shapes:
        assert (component, config["block_out_channels"]) == (UNET, [320, 640, 1280, 1280])
        return built_once()

    monkeypatch.setattr(convert, "expected_shapes", shapes_built_once)
    monkeypatch.setattr(store, "read_tensors", unread)


def test_the_whole_unet_fits(tmp_path: Path) -> None:
    file = open_component(write_sparse(tmp_path / UNET.name, read_manifest(MANIFEST)), UNET)
    assert len(file.shapes) == 1492
    assert sum(map(math.prod, file.shapes.values())) == PARAMETERS
    assert file.path.stat().st_size > PARAMETERS * FLOAT16_BYTES
    with pytest.raises(AssertionError, match="the values were read"):
        load_network(tmp_path, UNET)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", f"1 missing from the file: {NAME}"),
        ("renamed", f"1 missing from the file: {NAME}; 1 unknown to the model: module.{NAME}"),
        ("transposed", f"1 of another shape: {NAME}"),
    ],
)
def test_one_tensor_that_differs_is_refused_by_name(tmp_path: Path, damage: str, message: str) -> None:
    shapes = dict(read_manifest(MANIFEST))
    shape = shapes.pop(NAME)
    if damage != "missing":
        shapes |= {f"module.{NAME}": shape} if damage == "renamed" else {NAME: shape[::-1]}
    folder = write_sparse(tmp_path / UNET.name, shapes)
    with pytest.raises(InvalidCheckpoint) as verified:
        open_component(folder, UNET)
    assert message in str(verified.value)
    with pytest.raises(InvalidCheckpoint) as loaded:
        load_network(tmp_path, UNET)
    assert str(loaded.value) == str(verified.value)
