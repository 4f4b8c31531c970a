"""Fréchet distance of two sets of features (Dowson and Landau 1982), from moments that are streamed in
float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FeatureMoments:
    """Number, mean (d,) and scatter (d, d) of features: the summed outer products of their deviations from
    the mean. Those of a set are those of its parts, merged, so memory does not grow with the number of
    features."""

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> FeatureMoments:
        """Moments of features (n, d), n of at least 1."""
        values = np.asarray(features, dtype=np.float64)
        mean = values.mean(0)
        deviations = values - mean
        return cls(len(values), mean, deviations.T @ deviations)

    def merged(self, other: FeatureMoments) -> FeatureMoments:
        """Moments of both sets together (Chan, Golub and LeVeque 1979)."""
        count = self.count + other.count
        step = other.mean - self.mean
        between = np.outer(step, step) * (self.count * other.count / count)
        mean = self.mean + step * (other.count / count)
        return FeatureMoments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance (d, d). A single feature has none: zeros."""
        return self.scatter / max(self.count - 1, 1)


def frechet_distance(first: FeatureMoments, second: FeatureMoments) -> float:
    """|m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)) between Gaussians of the two sets' moments.

    With C = R R^T, tr((C1 C2)^(1/2)) is the sum of the singular values of R1^T R2. No root of a singular
    matrix is taken, so fewer features than dimensions need no regularisation.
    """
    root, other_root = _root(first.covariance), _root(second.covariance)
    shared = np.linalg.svd(root.T @ other_root, compute_uv=False).sum()
    spread = np.square(root).sum() + np.square(other_root).sum() - 2 * shared
    return float(np.square(first.mean - second.mean).sum() + spread)


def _root(covariance: np.ndarray) -> np.ndarray:
    """R of covariance = R R^T, (d, rank); directions whose variance is rounding are left out."""
    variances, directions = np.linalg.eigh(covariance)
    kept = variances > np.finfo(np.float64).eps * len(variances) * max(variances[-1], 0)
    return directions[:, kept] * np.sqrt(variances[kept])
