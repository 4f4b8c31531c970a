"""Strict loading: all or none, with both sides' unmatched tensors named."""

import pytest
import torch
from torch import nn

from sonimate.checkpoints.store import check_shapes, load_strict
from sonimate.errors import InvalidCheckpoint


def test_equal_manifests_pass_in_any_order():
    check_shapes({"a": (1,), "b": (2, 3)}, {"b": (2, 3), "a": (1,)}, "file")


def test_every_kind_of_difference_is_named_on_its_side():
    with pytest.raises(InvalidCheckpoint) as caught:
        check_shapes({"b": (2,), "extra": (1,)}, {"lost": (1,), "b": (3,)}, "unet.safetensors")
    message = str(caught.value)
    assert "unet.safetensors" in message
    assert "1 missing from the file: lost" in message
    assert "1 unknown to the model: extra" in message
    assert "b (file (2,), model (3,))" in message


def test_long_lists_are_cut_and_counted():
    with pytest.raises(InvalidCheckpoint, match=r"1492 missing from the file: t0, .* and 1487 more"):
        check_shapes({}, {f"t{i}": (1,) for i in range(1492)}, "empty.pth")


def test_a_mismatch_leaves_the_module_untouched():
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    with pytest.raises(InvalidCheckpoint):
        load_strict(layer, {"weight": torch.zeros(2, 2)}, "half.safetensors")
    assert torch.equal(layer.weight, before)
    load_strict(layer, {"weight": torch.zeros(2, 2), "bias": torch.ones(2)}, "whole.safetensors")
    assert not layer.weight.any()
