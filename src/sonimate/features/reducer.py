"""Audio features: Whisper's hidden states, standardised and reduced by a principal-component projection.

A projection learned from minutes of speech on 10 x 5 x 384 raw numbers a frame over-fits at once; one fitted
without labels on plenty of speech does not (paper section 3.1 uses the raw numbers, and thousands of hours).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import eigh


@dataclass(frozen=True)
class Reducer:
    """Affine projection of one step's features: (x - mean) @ components.T. mean: (d,). components: (k, d)."""

    mean: np.ndarray
    components: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(t, d) -> (t, k), roughly unit variance in the leading component."""
        return (rows - self.mean) @ self.components.T


class ReducerFit:
    """Accumulates rows of features and fits a `Reducer`; memory does not grow with the amount of speech."""

    def __init__(self, dim: int):
        self._count = 0
        self._sum = np.zeros(dim)
        self._products = np.zeros((dim, dim))

    def add(self, rows: np.ndarray) -> None:
        """rows: (t, d)."""
        rows = rows.astype(np.float64)
        self._count += len(rows)
        self._sum += rows.sum(0)
        self._products += rows.T @ rows

    def fit(self, components: int) -> Reducer:
        """Principal components of the standardised features, scaled so that the first has variance one and
        the others keep their ratios to it."""
        mean = self._sum / self._count
        covariance = self._products / self._count - np.outer(mean, mean)
        deviation = np.sqrt(np.diag(covariance)) + 1e-6
        correlation = covariance / np.outer(deviation, deviation)
        size = len(mean)
        values, vectors = eigh(correlation, subset_by_index=(size - components, size - 1))
        rows = vectors[:, ::-1].T / deviation / np.sqrt(values[-1])
        return Reducer(mean.astype(np.float32), rows.astype(np.float32))


def save_reducers(path: Path, tokens: Reducer, buckets: Reducer) -> None:
    """Write the two reducers of a prepared folder."""
    np.savez(
        path,
        token_mean=tokens.mean,
        token_components=tokens.components,
        bucket_mean=buckets.mean,
        bucket_components=buckets.components,
    )


def load_reducers(path: Path) -> tuple[Reducer, Reducer]:
    """The token and bucket reducers that `save_reducers` wrote."""
    with np.load(path) as stored:
        return (
            Reducer(stored["token_mean"], stored["token_components"]),
            Reducer(stored["bucket_mean"], stored["bucket_components"]),
        )
