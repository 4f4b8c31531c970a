"""Fréchet distance of two sets of features (Dowson and Landau 1982), from moments that are streamed in
float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

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

    @property
    def root(self) -> np.ndarray:
        """R of covariance = R R^T, (d, rank); directions whose variance is rounding are left out."""
        variances, directions = np.linalg.eigh(self.covariance)
        kept = variances > np.finfo(np.float64).eps * len(variances) * max(variances[-1], 0)
        return directions[:, kept] * np.sqrt(variances[kept])


@dataclass(frozen=True)
class FeatureSet:
    """Features as they are, while they are fewer than their dimensions, and the moments of those before: in
    many dimensions, less memory and time than moments of a few.

    few: (n, d), n below d.
    """

    few: np.ndarray
    many: FeatureMoments | None = None

    @classmethod
    def of(cls, features: np.ndarray) -> FeatureSet:
        """Of features (n, d), n of at least 1."""
        if len(features) < features.shape[1]:
            return cls(features)
        return cls(features[:0], FeatureMoments.of(features))

    def merged(self, other: FeatureSet) -> FeatureSet:
        """Both sets together."""
        together = FeatureSet.of(np.concatenate([self.few, other.few]))
        parts = [part for part in (self.many, other.many, together.many) if part]
        return FeatureSet(together.few, reduce(FeatureMoments.merged, parts) if parts else None)

    @property
    def mean(self) -> np.ndarray:
        """(d,)."""
        return self._moments.mean if self.many else self.few.mean(0, dtype=np.float64)

    @property
    def root(self) -> np.ndarray:
        """R of covariance = R R^T, (d, rank)."""
        if self.many:
            return self._moments.root
        return (self.few - self.mean).T / np.sqrt(max(len(self.few) - 1, 1))

    @cached_property
    def _moments(self) -> FeatureMoments:
        parts = [self.many] if self.many else []
        if len(self.few):
            parts.append(FeatureMoments.of(self.few))
        return reduce(FeatureMoments.merged, parts)


def frechet_distance(first: FeatureMoments | FeatureSet, second: FeatureMoments | FeatureSet) -> float:
    """|m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)) between Gaussians of the two sets' moments.

    With C = R R^T, tr((C1 C2)^(1/2)) is the sum of the singular values of R1^T R2. No root of a singular
    matrix is taken, so fewer features than dimensions need no regularisation.
    """
    root, other_root = first.root, second.root
    shared = np.linalg.svd(root.T @ other_root, compute_uv=False).sum()
    spread = np.square(root).sum() + np.square(other_root).sum() - 2 * shared
    return float(np.square(first.mean - second.mean).sum() + spread)
