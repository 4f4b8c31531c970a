"""IFNet against the official code's numbers (provenance and tolerances: README.md here)."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from manifests import read_manifest
from recipe import recipe, recipe_weights
from safetensors.torch import load_file
from torch.testing import assert_close

from sonimate.checkpoints.store import load_strict
from sonimate.checkpoints.stream import shapes_of
from sonimate.models.rife import IFNet, IFNetConfig

HERE = Path(__file__).parent
TOLERANCE: dict[str, Any] = {"atol": 1e-4, "rtol": 0.0}


@pytest.fixture(scope="module")
def network() -> IFNet:
    network = IFNet(IFNetConfig()).eval()
    load_strict(network, recipe_weights("rife"), "rife")
    return network


def test_network_has_exactly_the_released_tensors():
    with torch.device("meta"):
        network = IFNet(IFNetConfig())
    released = read_manifest(HERE / "manifests/flownet.pkl.json.gz")
    expected = {name.removeprefix("module."): shape for name, shape in released.items()}
    assert list(shapes_of(network.state_dict()).items()) == list(expected.items())
    assert len(expected) == 160


def test_recipe_gives_the_bytes_of_the_reference_weights():
    weights, rules = recipe_weights("rife"), recipe("rife")["tensors"]
    for name, rule in rules.items():
        stored = weights[name].numpy().astype(np.float16).tobytes()
        assert hashlib.sha256(stored).hexdigest() == rule["sha256_f16"], name


@torch.inference_mode()
@pytest.mark.parametrize("size", ["64x64", "64x96"])
def test_middle_frame_flow_and_mask(network, size):
    io = load_file(HERE / "modules/rife_io.safetensors")
    first, second = io[f"img0_{size}"], io[f"img1_{size}"]
    frame, flow, mask = network.motion(first, second)
    assert_close(frame, io[f"out_{size}"], **TOLERANCE)
    assert_close(flow, io[f"flow_{size}"], **TOLERANCE)
    assert_close(mask, io[f"mask_{size}"], **TOLERANCE)
    assert torch.equal(network(first, second), frame)
