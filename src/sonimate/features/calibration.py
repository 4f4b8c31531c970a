"""The unit of a converted release's motion buckets, estimated on footage.

Our labels have a unit of our own (sonimate.footage.bucket_labels); the authors have not published theirs.
Fine-tuning their model with our labels would teach it another unit. But the release's `audio_to_bucket`
predicts buckets in its own unit. Over many clips, its predictions are about proportional to our labels, and
the factor, one for head and one for expression, converts our labels.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from sonimate.audio.windows import BUCKET_ROWS, BUCKET_ROWS_BEFORE
from sonimate.checkpoints.registry import AUDIO_TO_BUCKET
from sonimate.checkpoints.store import load_network
from sonimate.errors import InvalidCheckpoint, TooFewClips
from sonimate.evaluate.curves import correlation
from sonimate.features.latents import BUCKET_SCALE, LATENTS, RECORD, LatentClip
from sonimate.footage.shards import read_shards
from sonimate.media.folders import FolderRecord
from sonimate.models.audio_networks import AudioToBucket

MIN_CLIPS = 8
_log = logging.getLogger("sonimate")


def calibrate_buckets(data: Path, model: Path) -> tuple[float, float]:
    """Estimate the factors from our labels of head and expression to the unit of the model's
    `audio_to_bucket`, and store them in a folder of features, where training applies them.

    Raises TooFewClips, and InvalidCheckpoint if the network predicts no positive buckets: it is not trained.
    """
    network = load_network(model, AUDIO_TO_BUCKET).eval()
    clips = [LatentClip(clip) for clip in read_shards(data, LATENTS)]
    if len(clips) < MIN_CLIPS:
        raise TooFewClips(f"{data} holds {len(clips)} clips; a calibration needs {MIN_CLIPS} or more.")
    labels = np.stack([clip.buckets for clip in clips])
    predictions = np.stack([predicted_buckets(network, clip) for clip in clips])
    head, expression = (proportion(labels[:, i], predictions[:, i]) for i in range(2))
    if min(head, expression) <= 0:
        raise InvalidCheckpoint(
            f"{AUDIO_TO_BUCKET.name} of {model} predicts no positive motion buckets, so it is not trained. "
            "Calibrate with a converted release."
        )
    for i, (name, factor) in enumerate((("head", head), ("expression", expression))):
        r = correlation(labels[:, i], predictions[:, i])
        _log.info("%s: the model's bucket is %.3f of ours (%d clips, r %.2f)", name, factor, len(clips), r)
    record = FolderRecord(data / RECORD)
    record.write((record.read() or {}) | {BUCKET_SCALE: [head, expression]})
    return head, expression


def is_calibrated(data: Path) -> bool:
    """Whether a folder of features has a stored calibration."""
    return BUCKET_SCALE in (FolderRecord(data / RECORD).read() or {})


@torch.no_grad()
def predicted_buckets(network: AudioToBucket, clip: LatentClip) -> np.ndarray:
    """Medians (2,) over a clip's frames of the buckets that the network predicts from the clip's sound and
    first frame."""
    frames = np.arange(len(clip.latents))
    windows = clip.windows(frames, BUCKET_ROWS, BUCKET_ROWS_BEFORE, slice(-1, None))
    features, image = (torch.from_numpy(np.array(x)).float()[None] for x in (windows, clip.image[0]))
    return network.project(features, image)[0].median(0).values.numpy()


def proportion(x: np.ndarray, y: np.ndarray) -> float:
    """The factor a that minimises the sum of |y - a x| over points (n,), x >= 0: least absolute deviations,
    so that single wild points hardly matter. It is the median of y / x, weighted by x."""
    known = x > 0
    if not known.any():
        return 0.0
    ratios, weights = y[known] / x[known], x[known]
    order = np.argsort(ratios)
    cumulated = np.cumsum(weights[order])
    return float(ratios[order][np.searchsorted(cumulated, cumulated[-1] / 2)])
