"""The stages of `sonimate prepare`, in their order.

This tuple is the only list of them: the Preparer runs it, the report counts by it, and a test compares the
table of docs/training.md with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sonimate.face.mesh import FaceMesh
from sonimate.footage import bucket_labels, probe, quality, shots, square_crop, sync, tracks, voice_activity
from sonimate.footage.mouth_reader import MouthReader
from sonimate.footage.sample import Stage


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """size_px: side of the clips. min_face_px: shortest face, forehead to chin, in the footage.
    shard_bytes: a shard is closed before it grows larger."""

    size_px: int = 512
    min_face_px: float = 96.0
    shard_bytes: int = 1 << 30


@dataclass(frozen=True)
class StageOfPrepare:
    """name: the stage in records and reports. build: makes the stage and loads the networks that it needs."""

    name: str
    build: Callable[[PrepareOptions], Stage]


STAGES = (
    StageOfPrepare(probe.STAGE, lambda options: probe.probe),
    StageOfPrepare(shots.STAGE, lambda options: shots.detect_shots),
    StageOfPrepare(tracks.STAGE, lambda options: partial(tracks.track_faces, mesh=FaceMesh(num_threads=1))),
    StageOfPrepare(
        quality.STAGE, lambda options: partial(quality.gate_quality, min_face_px=options.min_face_px)
    ),
    StageOfPrepare(voice_activity.STAGE, lambda options: voice_activity.gate_speech),
    StageOfPrepare(sync.STAGE, lambda options: partial(sync.gate_sync, predict=MouthReader.load())),
    StageOfPrepare(square_crop.STAGE, lambda options: partial(square_crop.crop, size_px=options.size_px)),
    StageOfPrepare(square_crop.FACE_BOX, lambda options: square_crop.add_face_box),
    StageOfPrepare(bucket_labels.STAGE, lambda options: bucket_labels.label_buckets),
)
