"""The stages of `sonimate prepare`, in their order.

STAGES is the only list of them: the Preparer runs it, the report counts by it, and a test compares the table
of docs/training.md with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sonimate.face.mesh import FaceMesh
from sonimate.footage import bucket_labels, probe, quality, shots, square_crop, sync, tracks, voice_activity
from sonimate.footage.mouth_reader import MouthReader
from sonimate.footage.prepare_options import PrepareOptions
from sonimate.footage.sample import Stage
from sonimate.footage.sources import ForwardReader

STAGES: dict[str, Callable[[PrepareOptions], Stage]] = {
    probe.STAGE: lambda _: probe.probe,
    shots.STAGE: lambda _: shots.detect_shots,
    tracks.STAGE: lambda _: partial(tracks.track_faces, mesh=FaceMesh(num_threads=1), reader=ForwardReader()),
    quality.STAGE: lambda options: partial(quality.gate_quality, min_face_px=options.min_face_px),
    voice_activity.STAGE: lambda _: voice_activity.gate_speech,
    sync.STAGE: lambda _: partial(sync.measure_sync, predict=MouthReader.load()),
    square_crop.STAGE: lambda options: partial(
        square_crop.crop, size_px=options.size_px, reader=ForwardReader()
    ),
    square_crop.FACE_BOX: lambda _: square_crop.add_face_box,
    bucket_labels.STAGE: lambda _: bucket_labels.label_buckets,
}
"""The name of each stage in records and reports, and what makes it with the networks that it needs."""
