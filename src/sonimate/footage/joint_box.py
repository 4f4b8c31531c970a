"""Eighth stage: the joint face box, within which the voice will act (the mask M of paper eq. 1)."""

from __future__ import annotations

from collections.abc import Iterator

from sonimate.face.mesh import landmark_box
from sonimate.footage.sample import Sample, each

STAGE = "face_box"


def add_face_box(samples: Iterator[Sample]) -> Iterator[Sample]:
    """Crops -> the same with the smallest box [x0, y0, x1, y1], px of the crop, that holds the face in every
    frame of the clip."""
    return each(STAGE, _add, samples)


def _add(sample: Sample) -> Iterator[Sample]:
    yield sample.knowing(STAGE, box=list(landmark_box(sample.landmarks().reshape(-1, 3))))
