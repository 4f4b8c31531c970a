"""Training windows of the compact model: two seconds of a sample, relative to a random frame of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonimate.audio.windows import BUCKET_ROWS, BUCKET_ROWS_BEFORE, TOKEN_ROWS, TOKEN_ROWS_BEFORE
from sonimate.clock import VIDEO_FRAMES_PER_LATENT
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.codecs.mesh.motion import Motion
from sonimate.errors import OptionOutOfRange, TooFewClips
from sonimate.face.canonical import canonical_vertices, mirror_partners
from sonimate.face.pose import relative_motion
from sonimate.face.regions import LANDMARK_COUNT, LIPS_INNER, LIPS_OUTER, LOWER_LIP_INNER, UPPER_LIP_INNER
from sonimate.features.audio_features import cut_windows
from sonimate.features.motion_samples import MotionSample
from sonimate.train.config import CompactConfig
from sonimate.train.task import window_chances

LIVELINESS = (0.6, 1.7)
"""Range of a random factor on expressions, measured from the face at rest. The expression bucket gets the
same factor, so that the model learns what the bucket means."""
SMILE_CHANCE = 0.4
"""How often a smile is added to the reference alone: many portraits smile, and the animated mouth must still
close."""
HEAD_MIRROR = np.array([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])
"""Factors on head motion (rotation vector, translation, log scale) that mirror it: yaw, roll and sideways
movement change their signs."""


@dataclass(frozen=True)
class MotionWindows:
    """Windows of b samples. names; latents (b, f, c, h, w); reference (b, c, h, w); features (b, f, token
    features); bucket_features (b, f, bucket features); buckets (b, 2)."""

    names: tuple[str, ...]
    latents: Tensor
    reference: Tensor
    features: Tensor
    bucket_features: Tensor
    buckets: Tensor


class WindowSampler:
    """Draws windows from samples. Each is a pure function of (seed, step, row of the step's batch).

    silence_rows: token and bucket features (d,) of a zero hidden state. Raises TooFewClips: no sample is as
    long as a window. OptionOutOfRange: `real_share` needs real or synthetic samples, and there are none.
    """

    def __init__(
        self,
        samples: list[MotionSample],
        codec: MeshCodec,
        config: CompactConfig,
        silence_rows: tuple[np.ndarray, np.ndarray],
    ):
        span = config.frames * VIDEO_FRAMES_PER_LATENT
        usable = [sample for sample in samples if len(sample.expression) >= span]
        if not usable:
            raise TooFewClips(
                f"None of the {len(samples)} samples to train on lasts {span} frames at 25 fps. Prepare "
                "longer footage, lower `frames`, or hold out fewer speakers."
            )
        real, synthetic = ([s for s in usable if s.kind == kind] for kind in ("real", "synthetic"))
        if config.real_share > 0 and not real:
            raise OptionOutOfRange(
                f"real_share = {config.real_share}, but no real sample to train on is long enough. "
                "Prepare footage, hold out fewer speakers, or set real_share=0."
            )
        if config.real_share < 1 and not synthetic:
            raise OptionOutOfRange(
                f"real_share = {config.real_share}, but the data has no synthetic sample that is long "
                "enough. Give `sonimate features` some by --speech, or set real_share=1."
            )
        self._pools = real, synthetic
        self._chances = [window_chances((len(s.expression) for s in pool), span) for pool in self._pools]
        self._config, self._codec, self._span = config, codec, span
        self._mirror = mirror_matrix(codec)
        self._rest = {sample.clip_id: resting_face(sample.expression, codec) for sample in usable}
        self._smiles = codec.project(smiles())
        self._silence = silence_rows

    def batch(self, step: int, rows: range) -> MotionWindows:
        """Some rows of a step's batch: independent of all others, so that training resumes exactly and
        processes can share a batch."""
        windows = [self._window(np.random.default_rng([self._config.seed, step, row])) for row in rows]
        names, expression, head, reference, tokens, bucket_rows, buckets = zip(*windows, strict=True)
        latents = [
            self._codec.to_latents(Motion(face, pose)) for face, pose in zip(expression, head, strict=True)
        ]
        return MotionWindows(
            names,
            torch.stack(latents),
            self._codec.still_latents(np.stack(reference)),
            torch.from_numpy(np.stack(tokens)).float(),
            torch.from_numpy(np.stack(bucket_rows)).float(),
            torch.from_numpy(np.stack(buckets)).float(),
        )

    def _window(self, rng: np.random.Generator) -> tuple[Any, ...]:
        """One row: the fields of MotionWindows, the latents as expression and head."""
        pool = 0 if rng.random() < self._config.real_share else 1
        sample = self._pools[pool][rng.choice(len(self._pools[pool]), p=self._chances[pool])]
        start = rng.integers(len(sample.expression) - self._span + 1)
        frames = start + np.arange(self._span)
        latents = frames[::VIDEO_FRAMES_PER_LATENT]
        still = int(rng.integers(len(sample.expression)))
        rest, gain = self._rest[sample.clip_id], np.exp(rng.uniform(*np.log(LIVELINESS)))
        absolute = rest + gain * (sample.expression - rest)
        smile = rng.uniform(0, 1, len(self._smiles)) @ self._smiles if rng.random() < SMILE_CHANCE else 0.0
        reference = absolute[still] + smile
        expression = absolute[frames] - reference
        head = relative_motion(sample.pose[frames], sample.pose[still : still + 1])
        if rng.random() < 0.5:
            expression, reference = expression @ self._mirror, reference @ self._mirror
            head = head * HEAD_MIRROR
        reference = reference + self._config.reference_noise * rng.normal(size=reference.shape)
        tokens = cut_windows(sample.token_rows, latents, TOKEN_ROWS, TOKEN_ROWS_BEFORE, self._silence[0])
        buckets = cut_windows(sample.bucket_rows, latents, BUCKET_ROWS, BUCKET_ROWS_BEFORE, self._silence[1])
        labels = sample.buckets * [1.0, gain]
        return str(sample.clip_id), expression, head, reference, tokens, buckets, labels


def resting_face(expression: np.ndarray, codec: MeshCodec) -> np.ndarray:
    """Mean expression (k,) of the quarter of a sample's frames (n, k) whose mouth is least open."""
    gap = expression @ (codec.basis[:, UPPER_LIP_INNER, 1] - codec.basis[:, LOWER_LIP_INNER, 1])
    return expression[gap <= np.quantile(gap, 0.25)].mean(0)


def smiles() -> np.ndarray:
    """Changes (2, 478, 3) cm of the vertices in a smile: corners of the mouth out and up; lips parted."""
    x, y, _ = canonical_vertices().T
    lips = list(LIPS_OUTER + LIPS_INNER)
    side = x[lips] / np.abs(x[lips]).max()
    corners, parted = np.zeros((2, LANDMARK_COUNT, 3))
    corners[lips, 0] = 0.6 * side
    corners[lips, 1] = 0.4 * np.abs(side) ** 1.5
    middle = y[[UPPER_LIP_INNER, LOWER_LIP_INNER]].mean()
    parted[lips, 1] = np.where(y[lips] > middle, 0.3, -0.9) * (1 - side**2)
    return np.stack([corners, parted])


def mirror_matrix(codec: MeshCodec) -> np.ndarray:
    """(k, k): `coefficients @ matrix` are those of the mirrored expression, projected on the basis."""
    mirrored = codec.basis[:, mirror_partners()] * [-1, 1, 1]
    count = len(codec.basis)
    return mirrored.reshape(count, -1) @ codec.basis.reshape(count, -1).T
