"""Stage `shots`: where one shot ends and another begins, by PySceneDetect's adaptive detector.

It compares each frame's change in hue, saturation and brightness with that of the frames around it, so that
fast heads and cameras do not count as cuts. Fades and dissolves have no such peak and are not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

from sonimate.clock import VIDEO_FPS
from sonimate.footage.sample import Sample
from sonimate.footage.sources import safely
from sonimate.media.video import read_frames

STAGE = "shots"
DETECTOR_WIDTH_PX = 256
"""PySceneDetect's own default width; in larger pictures the grain of the film looks like change."""
DARK = 32
"""Pixels whose channels are all below this level are made black. Their hue is noise: in a clip before a black
wall it was detected as a cut."""
MAX_FRAMES = round(60 * VIDEO_FPS)
"""Longer shots are cut into equal parts, so that memory does not grow with footage."""


def detect_shots(sample: Sample) -> Iterator[Sample]:
    """A file -> its shots, each at most MAX_FRAMES long."""
    bounds = shot_bounds(safely(read_frames(sample.source, fps=VIDEO_FPS)))
    for index, (start, end) in enumerate(pairwise(bounds)):
        parts = -(-(end - start) // MAX_FRAMES)
        for first, last in pairwise(start + (end - start) * part // parts for part in range(parts + 1)):
            yield replace(sample, start=first, count=last - first).with_facts(STAGE, shot=index)


def shot_bounds(frames: Iterator[np.ndarray]) -> list[int]:
    """The first frame of every shot, then the number of frames."""
    detector = AdaptiveDetector(min_scene_len=1)
    bounds, count = [0], 0
    for frame in frames:
        height, width = frame.shape[:2]
        scale = min(1.0, DETECTOR_WIDTH_PX / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        small[small.max(axis=2) < DARK] = 0
        cuts = detector.process_frame(
            FrameTimecode(count, fps=VIDEO_FPS), np.ascontiguousarray(small[..., ::-1])
        )
        bounds += [cut.frame_num for cut in cuts]
        count += 1
    return [*bounds, count]
