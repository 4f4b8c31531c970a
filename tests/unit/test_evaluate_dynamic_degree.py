from pathlib import Path

import numpy as np
import pytest
import torch
from random_networks import published, randomised

from sonimate.errors import UnusableClip
from sonimate.evaluate.standard import raft
from sonimate.evaluate.standard.standard_files import RAFT_THINGS


def test_the_network_has_the_published_number_of_parameters_and_names() -> None:
    """5,257,536, as the authors state (5.3 million). One norm stands in the file under two names."""
    network = raft.RaftNetwork()
    assert sum(tensor.numel() for tensor in network.parameters()) == 5_257_536
    names = set(network.state_dict())
    assert {
        "cnet.layer2.0.norm3.weight",
        "cnet.layer2.0.downsample.1.weight",
        "fnet.layer3.0.downsample.0.bias",
    } <= names
    assert not any("fnet" in name and "norm" in name for name in names)


def test_windows_are_read_column_after_column() -> None:
    """The published weights expect this order. Similarity here is the x of the place that is looked at."""
    x = torch.arange(40.0).repeat(40, 1)
    pyramid = [x.expand(1, 1, 40, 40)]
    places = torch.full((1, 2, 1, 1), 20.0)
    read = raft._lookup(pyramid, places).flatten().reshape(9, 9)
    assert torch.allclose(read, torch.arange(16.0, 25)[:, None].expand(9, 9), atol=1e-3)


def test_upsampling_by_even_weights_averages_neighbours() -> None:
    flow = torch.zeros(1, 2, 3, 3)
    flow[0, 0, 1, 1] = 9
    up = raft._upsampled(flow, torch.zeros(1, 576, 3, 3))
    assert up.shape == (1, 2, 24, 24)
    assert torch.allclose(up[0, 0], torch.full((24, 24), 8.0))
    assert not up[0, 1].any()


def test_frames_become_speeds_with_random_weights(tmp_path: Path) -> None:
    """The whole path; sides that eight does not divide, and a file whose names begin with "module."."""
    state = randomised(raft.RaftNetwork()).state_dict()
    file = published(RAFT_THINGS, tmp_path, {f"module.{name}": tensor for name, tensor in state.items()})
    measure = raft.RaftFlow(tmp_path, file=file)
    frames = list(np.random.default_rng(0).integers(256, size=(7, 130, 134, 3), dtype=np.uint8))
    assert measure(frames[0], frames[1]).shape == (130, 134, 2)
    speeds = measure.pair_speeds(frames, 25)
    assert len(speeds) == 2
    assert np.isfinite(speeds).all()
    with pytest.raises(UnusableClip, match=r"0\.375 s"):
        measure.pair_speeds(frames[:4], 25)
    with pytest.raises(UnusableClip, match="128 px"):
        measure.pair_speeds([frame[:100] for frame in frames], 25)


def test_the_rule_is_that_of_vbench() -> None:
    """16 frames: four pairs must be faster than 6 px at 256 px, and than 12 px at 512 px."""
    flow = np.zeros((10, 10, 2))
    flow[0, :5] = 3, 4
    assert raft.pair_speed(flow) == pytest.approx(5)
    speeds = [7.0] * 4 + [1.0] * 11
    assert raft.is_dynamic(speeds, 256, 300)
    assert not raft.is_dynamic(speeds, 512, 512)
    assert not raft.is_dynamic([*speeds[1:], 1.0], 256, 256)
