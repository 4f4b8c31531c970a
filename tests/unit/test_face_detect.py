"""BlazeFace's geometry: anchors, suppression, crops and the tiles of the search."""

import math

import numpy as np
import pytest

from sonimate.face.detect import (
    TILE_PX,
    USUAL_LEVELS,
    Detection,
    Roi,
    anchor_centres,
    finer_levels,
    merge,
    overlap,
    tiles,
    transform,
)


def detection(x: float, y: float, size: float, score: float) -> Detection:
    half = size / 2
    box = np.array([x - half, y - half, x + half, y + half])
    return Detection(box=box, keypoints=np.full((6, 2), (x, y), float), score=score)


def test_896_anchors_at_the_middle_of_their_cells() -> None:
    centres = anchor_centres()
    assert centres.shape == (896, 2)
    assert centres[0].tolist() == centres[1].tolist() == [4, 4]
    assert centres[2].tolist() == [12, 4], "rows first"
    assert centres[512].tolist() == centres[517].tolist() == [8, 8]
    assert centres[-1].tolist() == [120, 120]


def test_overlap_is_intersection_over_union() -> None:
    box = np.array([0.0, 0, 2, 2])
    others = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 4, 4], [5, 5, 6, 6]])
    assert overlap(box, others).tolist() == pytest.approx([1, 1 / 3, 0, 0])


def test_merging_weights_a_cluster_by_score_and_keeps_others() -> None:
    merged = merge([detection(10, 10, 20, 0.5), detection(14, 10, 20, 0.9), detection(90, 90, 20, 0.6)])
    assert [found.score for found in merged] == [0.9, 0.6]
    mean_x = (0.5 * 10 + 0.9 * 14) / 1.4
    assert merged[0].keypoints[:, 0] == pytest.approx(mean_x)
    assert merged[0].box.tolist() == pytest.approx([mean_x - 10, 0, mean_x + 10, 20])
    assert merge([]) == []


def test_merging_does_not_depend_on_the_order() -> None:
    found = [detection(10 + i, 10, 20, 0.5 + 0.04 * i) for i in range(5)] + [detection(80, 10, 9, 0.6)]
    forward, backward = merge(found), merge(found[::-1])
    for one, other in zip(forward, backward, strict=True):
        assert one.box == pytest.approx(other.box)


def test_a_detection_keeps_its_size_under_a_turn() -> None:
    matrix = Roi(50, 60, 256, math.radians(90)).to_image(128)
    moved = transform(detection(64, 64, 10, 0.7), matrix)
    assert moved.box.tolist() == pytest.approx([40, 50, 60, 70])


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, math.pi])
@pytest.mark.parametrize("size", [64.0, 128.0, 700.0])
def test_a_crop_shows_what_its_matrix_says(angle: float, size: float) -> None:
    y, x = np.mgrid[:1000, :1000] + 0.5
    ramp = np.stack([x / 4, y / 4, 0 * x], -1).round().astype(np.uint8)
    roi = Roi(500, 480, size, angle)
    crop = roi.crop(ramp, 128)
    assert crop.shape == (128, 128, 3)
    matrix = roi.to_image(128)
    for u, v in ((10.5, 20.5), (64.5, 64.5), (120.5, 3.5)):
        expected = matrix[:, :2] @ (u, v) + matrix[:, 2]
        assert crop[int(v), int(u), :2] == pytest.approx(expected / 4, abs=1)


@pytest.mark.parametrize(("height", "width"), [(1500, 1000), (300, 2000), (128, 128), (37, 90)])
@pytest.mark.parametrize("angle", [0.0, math.radians(45), math.radians(90)])
@pytest.mark.parametrize("level", [-1, 0, 1, 2, 3])
def test_tiles_cover_the_image(height: int, width: int, angle: float, level: int) -> None:
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
    points = np.concatenate([corners, np.random.default_rng(0).uniform((0, 0), (width, height), (50, 2))])
    covered = np.zeros(len(points), bool)
    for tile in tiles(height, width, level, angle):
        matrix = tile.to_image(TILE_PX)
        inside = (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        covered |= ((inside >= -1e-6) & (inside <= TILE_PX + 1e-6)).all(1)
    assert covered.all()


def test_any_face_up_to_half_a_tile_is_whole_in_one() -> None:
    rng = np.random.default_rng(0)
    rois = list(tiles(900, 1300, 2))
    size = rois[0].size
    for x, y in rng.uniform((size / 4, size / 4), (1300 - size / 4, 900 - size / 4), (100, 2)):
        assert any(abs(roi.x - x) <= size / 4 + 1e-6 and abs(roi.y - y) <= size / 4 + 1e-6 for roi in rois)


def test_the_usual_search_takes_at_most_60_tiles() -> None:
    counts = [len(list(tiles(1000, 1000, level))) for level in USUAL_LEVELS]
    assert counts == [1, 1, 9, 49]
    assert len(list(tiles(200, 1600, 2))) == 7, "no empty tiles beside a strip"


def test_finer_levels_end_near_full_resolution() -> None:
    assert list(finer_levels(480, 640)) == []
    assert list(finer_levels(2000, 3000)) == [3, 4]
    assert list(finer_levels(30_000, 30_000)) == [3, 4, 5]
