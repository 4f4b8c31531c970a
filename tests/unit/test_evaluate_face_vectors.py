from pathlib import Path

import numpy as np
import pytest
from random_networks import published, randomised

from sonimate.evaluate.standard.arcface import (
    FIVE_POINTS,
    TEMPLATE,
    FaceVectorNetwork,
    FaceVectors,
    aligned_face,
    blocks_of,
)
from sonimate.evaluate.standard.standard_files import ARCFACE

FIFTY, HUNDRED = (3, 4, 14, 3), (3, 13, 30, 3)


def test_both_sizes_have_the_published_number_of_parameters() -> None:
    """InsightFace's iresnet100 and iresnet50: 65.16 and 43.59 million."""
    for blocks, millions in ((HUNDRED, 65.16), (FIFTY, 43.59)):
        network = FaceVectorNetwork(blocks)
        assert sum(tensor.numel() for tensor in network.parameters()) / 1e6 == pytest.approx(
            millions, abs=0.005
        )
        assert blocks_of(network.state_dict()) == blocks


def test_faces_become_vectors_with_random_weights(tmp_path: Path) -> None:
    """A turned, larger and moved picture of a face gives nearly its vector; another face does not."""
    file = published(ARCFACE, tmp_path, randomised(FaceVectorNetwork(FIFTY)).state_dict())
    measure = FaceVectors(tmp_path, file=file)
    rng = np.random.default_rng(0)
    small = rng.integers(256, size=(2, 14, 14, 3), dtype=np.uint8)
    face, other = small.repeat(8, 1).repeat(8, 2)
    landmarks = np.zeros((478, 3))
    landmarks[list(FIVE_POINTS), :2] = TEMPLATE
    vector = measure(face, landmarks)
    assert vector.shape == (512,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    turned = np.rot90(face.repeat(2, 0).repeat(2, 1)).copy()
    moved = landmarks.copy()
    moved[:, 0], moved[:, 1] = 2 * landmarks[:, 1] + 0.5, 223 - 2 * landmarks[:, 0] - 0.5
    same = vector @ measure(turned, moved)
    assert same > 0.98
    assert vector @ measure(other, landmarks) < same - 0.01


def test_alignment_brings_the_points_to_their_places() -> None:
    """A white spot under each eye of a turned face lies at the template's eyes afterwards."""
    points = 1.5 * np.array(TEMPLATE) @ np.array([[0.8, 0.6], [-0.6, 0.8]]) + [120, 30]
    frame = np.zeros((300, 300, 3), np.uint8)
    for x, y in points[:2].round().astype(int):
        frame[y - 3 : y + 4, x - 3 : x + 4] = 255
    face = aligned_face(frame, points)[..., 0].astype(float)
    for half, (x, y) in zip((slice(0, 56), slice(56, 112)), TEMPLATE, strict=False):
        weights = face[:, half]
        rows, columns = np.indices(weights.shape)
        assert (rows * weights).sum() / weights.sum() == pytest.approx(y, abs=1)
        assert (columns * weights).sum() / weights.sum() + half.start == pytest.approx(x, abs=1)
