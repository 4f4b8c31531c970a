from pathlib import Path

import numpy as np
import pytest
from random_networks import published, randomised

from sonimate.evaluate.frechet import FeatureMoments, frechet_distance
from sonimate.evaluate.standard.arcface import FIVE_POINTS
from sonimate.evaluate.standard.face_reconstruction import (
    FACE_SCALE,
    MEAN_POINTS,
    ExpressionCoefficients,
    ReconstructionNetwork,
    reconstruction_crop,
)
from sonimate.evaluate.standard.standard_files import FACE_RECONSTRUCTION, MEAN_LANDMARKS

scipy_io = pytest.importorskip("scipy.io")

MEAN = np.array([[-0.32, 0.3, 0.4], [0.32, 0.3, 0.4], [0, 0, 0.8], [-0.25, -0.4, 0.5], [0.25, -0.4, 0.5]])
"""A face seen from the front; up is positive."""


def test_the_backbone_has_the_parameters_of_resnet_50() -> None:
    """25,557,032 with its classifier of 2048 * 1000 + 1000 (He et al. 2016; torchvision's count)."""
    backbone = ReconstructionNetwork().backbone
    assert sum(tensor.numel() for tensor in backbone.parameters()) == 25_557_032 - 2_049_000


@pytest.mark.parametrize("scale", [30, 130])
def test_faces_are_brought_to_one_size_and_place(scale: float) -> None:
    """The point at the mean face's origin comes to the middle of the crop, whatever the frame's size."""
    origin = np.array([150.0, 170.0])
    points = origin + scale * MEAN[:, :2] * [1, -1]
    frame = np.zeros((300, 320, 3), np.uint8)
    reach = max(round(scale / 20), 2)
    for x, y in (origin, points[0]):
        frame[round(y) - reach : round(y) + reach + 1, round(x) - reach : round(x) + reach + 1] = 255
    crop = reconstruction_crop(frame, points, MEAN)[..., 0].astype(float)
    assert crop.shape == (224, 224)
    eye = np.array([112.0, 112]) + FACE_SCALE * MEAN[0, :2] * [1, -1]
    for x, y in ((112, 112), eye):
        part = crop[round(y) - 15 : round(y) + 16, round(x) - 15 : round(x) + 16]
        rows, columns = np.indices(part.shape) - 15
        assert abs((rows * part).sum() / part.sum()) < 3
        assert abs((columns * part).sum() / part.sum()) < 3


def test_frames_become_a_distance_with_random_weights(tmp_path: Path) -> None:
    """The whole path from the two files to E-FID."""
    state = randomised(ReconstructionNetwork()).state_dict()
    file = published(FACE_RECONSTRUCTION, tmp_path, {"net_recon": state})
    landmarks = np.zeros((68, 3))
    for group, point in zip(MEAN_POINTS, MEAN, strict=True):
        landmarks[[number - 1 for number in group]] = point
    scipy_io.savemat(tmp_path / MEAN_LANDMARKS.names[0], {"lm": landmarks})
    measure = ExpressionCoefficients(tmp_path, file=file)
    mesh = np.zeros((478, 3))
    mesh[list(FIVE_POINTS), :2] = [60, 70] + 40 * MEAN[:, :2] * [1, -1]
    frames = np.random.default_rng(0).integers(256, size=(3, 120, 120, 3), dtype=np.uint8)
    features = np.stack([measure(frame, mesh) for frame in frames])
    assert features.shape == (3, 64)
    real = FeatureMoments.of(features)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(real, FeatureMoments.of(features[:2])) > 0
