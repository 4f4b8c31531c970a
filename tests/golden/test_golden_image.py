"""Image preparation and face boxes against the official code's numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sonimate.codecs.svd.preparation import (
    box_mask,
    clip_input,
    resize_to_multiple_of_64,
    signed_image,
    unit_mask,
)
from sonimate.face.geometry import process_bbox, reference_face_choice

MODULES = Path(__file__).parent / "modules"
IMAGES = json.loads((MODULES / "image_prep.json").read_text())
BOXES = json.loads((MODULES / "process_bbox.json").read_text())
CHOICES = json.loads((MODULES / "maxface_selection.json").read_text())
PREPARED = [case for case in IMAGES["cases"] if not case["name"].startswith("512")]


def corners(box_xywh):
    x, y, width, height = box_xywh
    return x, y, x + width, y + height


@pytest.fixture(scope="module")
def tensors():
    return load_file(MODULES / "image_prep.safetensors")


def within_one_lsb(found, expected):
    return np.abs(found.astype(int) - expected.numpy().astype(int)).max() <= 1


@pytest.mark.parametrize("case", PREPARED, ids=lambda case: case["name"])
def test_image_and_mask(case, tensors):
    name = case["name"]
    image = tensors[f"{name}_image_hwc_u8"].numpy()
    height, width = image.shape[:2]
    assert [width, height] == case["image_wh"]
    resized = resize_to_multiple_of_64(image, case["image_size"])
    assert list(resized.shape[:2]) == case["out_hw"]
    assert within_one_lsb(resized.transpose(2, 0, 1), tensors[f"{name}_ref_chw_u8"])
    expected = (tensors[f"{name}_ref_chw_u8"].float() / 255 - 0.5) / 0.5
    torch.testing.assert_close(signed_image(resized), expected, atol=2.01 / 255, rtol=0)

    mask = box_mask(corners(case["bbox_xywh"]), width=width, height=height, area=case["area"])
    mask = resize_to_multiple_of_64(mask, case["image_size"])
    assert within_one_lsb(mask, tensors[f"{name}_mask_hw_u8"])
    assert unit_mask(mask).max() <= 1


@pytest.mark.parametrize("case", PREPARED, ids=lambda case: case["name"])
def test_clip_input(case, tensors):
    image = tensors[f"{case['name']}_image_hwc_u8"].numpy()
    pixels = clip_input(resize_to_multiple_of_64(image, case["image_size"]))
    stats = case["clip_stats"]
    assert pixels.numel() == stats["numel"]
    assert pixels.mean() == pytest.approx(stats["mean"], abs=1e-4)
    assert pixels.std() == pytest.approx(stats["std"], abs=1e-4)
    one_lsb = 1 / 255 / 0.26
    assert pixels.flatten()[:8].tolist() == pytest.approx(stats["first8"], abs=one_lsb * 1.02)
    if (key := f"{case['name']}_clip_sub4") in tensors:
        torch.testing.assert_close(pixels[:, ::4, ::4], tensors[key].float(), atol=one_lsb * 1.02, rtol=0)


@pytest.mark.parametrize(
    "case", [case for case in IMAGES["cases"] if case not in PREPARED], ids=lambda case: case["name"]
)
def test_sizes_at_512(case):
    width, height = case["image_wh"]
    image = np.zeros((height, width), np.uint8)
    assert list(resize_to_multiple_of_64(image, case["image_size"]).shape) == case["out_hw"]


@pytest.mark.parametrize("case", BOXES, ids=lambda case: "-".join(map(str, case["out"])))
def test_process_bbox(case):
    box = process_bbox(
        tuple(case["bbox_xyxy"]),
        expand_ratio=case["expand_radio"],
        width=case["width"],
        height=case["height"],
    )
    assert list(box) == case["out"]


@pytest.mark.parametrize("case", CHOICES, ids=lambda case: str(len(case["boxes_xywh"])))
def test_face_choice(case):
    (selected,) = case["selected"]
    assert reference_face_choice([corners(box) for box in case["boxes_xywh"]]) == corners(selected)
