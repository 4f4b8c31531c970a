import ast
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sonimate.evaluate.frechet import FeatureMoments, FeatureSet, frechet_distance

scipy_linalg = pytest.importorskip("scipy.linalg")


def pytorch_fid_distance() -> Any:
    """pytorch-fid's own function, from its source: its module imports torchvision, of which the function uses
    nothing."""
    spec = find_spec("pytorch_fid")
    if spec is None or spec.origin is None:
        pytest.skip("pytorch-fid is not installed")
    source = ast.parse((Path(spec.origin).parent / "fid_score.py").read_text(encoding="utf-8"))
    function = next(
        node
        for node in source.body
        if isinstance(node, ast.FunctionDef) and node.name == "calculate_frechet_distance"
    )
    names: dict[str, Any] = {"np": np, "linalg": _Linalg}
    exec(compile(ast.Module([function], []), spec.origin, "exec"), names)
    return names["calculate_frechet_distance"]


class _Linalg:
    """pytorch-fid calls scipy's sqrtm with an argument that newer versions no longer have."""

    @staticmethod
    def sqrtm(matrix: np.ndarray, disp: bool = True) -> tuple[np.ndarray, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return scipy_linalg.sqrtm(matrix), 0.0


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> FeatureMoments:
    return FeatureMoments(1001, mean, covariance * 1000)


def test_equals_the_closed_form_of_gaussians() -> None:
    """Covariances that commute: |m|^2 + sum (s1 - s2)^2 over the axes they share."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    deviations, others = rng.uniform(0.1, 3, 40), rng.uniform(0.1, 3, 40)
    mean, other_mean = rng.normal(size=(2, 40))
    first = gaussian(mean, axes @ np.diag(deviations**2) @ axes.T)
    second = gaussian(other_mean, axes @ np.diag(others**2) @ axes.T)
    closed = np.square(mean - other_mean).sum() + np.square(deviations - others).sum()
    assert frechet_distance(first, second) == pytest.approx(closed, abs=1e-6)


@pytest.mark.parametrize("count", [12, 64, 500])
def test_equals_pytorch_fid_on_the_same_features(count: int) -> None:
    """Below 64 features the covariances are singular. It holds for features of unlike scale too."""
    rng = np.random.default_rng(count)
    mix = rng.normal(size=(64, 64)) / 8
    real, made = rng.normal(size=(count, 64)) @ mix, rng.normal(size=(count, 64)) * 1.2 @ mix + 0.1
    ours = frechet_distance(FeatureMoments.of(real), FeatureMoments.of(made))
    theirs = pytorch_fid_distance()(
        real.mean(0), np.cov(real, rowvar=False), made.mean(0), np.cov(made, rowvar=False)
    )
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert ours > 0.1


def test_is_stable_for_fewer_features_than_dimensions() -> None:
    """Equal sets are 0 apart, a moved set exactly its move, and float32 noise changes next to nothing."""
    features = np.random.default_rng(1).normal(size=(20, 512))
    moments = FeatureMoments.of(features)
    assert frechet_distance(moments, moments) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(moments, FeatureMoments.of(features + 0.5)) == pytest.approx(128, abs=1e-6)
    assert frechet_distance(moments, FeatureMoments.of(features.astype(np.float32))) == pytest.approx(
        0, abs=1e-4
    )


def test_parts_merge_to_the_moments_of_the_whole_far_from_zero() -> None:
    features = 1e4 + np.random.default_rng(2).normal(size=(300, 16))
    moments = FeatureMoments.of(features[:1])
    for start in range(1, 300, 23):
        moments = moments.merged(FeatureMoments.of(features[start : start + 23]))
    assert moments.count == 300
    assert np.allclose(moments.mean, features.mean(0), rtol=1e-12)
    assert np.allclose(moments.covariance, np.cov(features, rowvar=False), atol=1e-9)


@pytest.mark.parametrize("cuts", [[3], [3, 9], [3, 9, 14, 40], [30, 33]])
def test_few_features_kept_as_they_are_give_the_figures_of_moments(cuts: list[int]) -> None:
    """Below, at and above as many as dimensions, in parts of any size."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 12)).astype(np.float32)
    parts = [FeatureSet.of(part) for part in np.split(features, cuts)]
    other = FeatureMoments.of(rng.normal(size=(60, 12)) + 1)
    for count, stop in enumerate(cuts, start=1):
        merged = parts[0]
        for part in parts[1:count]:
            merged = merged.merged(part)
        expected = frechet_distance(FeatureMoments.of(features[:stop]), other)
        assert frechet_distance(merged, other) == pytest.approx(expected, rel=1e-6)
        assert len(merged.few) < 12
