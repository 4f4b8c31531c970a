"""Sync-C and Sync-D of a clip: the face followed through the frames, cropped, and judged with its sound, by
the protocol of VGG's SyncNet pipeline: 25 frames a second, 16 kHz, crops of 224 px, shifts up to 15 frames.

The pipeline stores its frames as JPEG between the steps; here they stay as decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.errors import NoFaceFound, UnusableClip
from sonimate.evaluate.standard.mfcc import RATE_HZ, mfcc
from sonimate.evaluate.standard.s3fd import FaceBoxes
from sonimate.evaluate.standard.standard_files import S3FD, SYNCNET, StandardFile, find_standard
from sonimate.evaluate.standard.syncnet import FRAMES, SyncNetV2, SyncScore, clip_vectors, sync_score
from sonimate.evaluate.standard.weights import filled, published_tensors
from sonimate.face.detect import overlap
from sonimate.media.audio import resample
from sonimate.types import Waveform

CROP_PX = 224
CROP_MARGIN = 0.4
"""Of half a face box: beside the crop; twice as much below it."""
BORDER_GREY = 110
SMOOTHING_FRAMES = 13
"""Of the running median of a crop's place and size."""
MAX_GAP_FRAMES = 25
SAME_FACE_OVERLAP = 0.5
MIN_TRACK_FRAMES = 50
"""VGG's example asks for 100, which would drop clips of four seconds; syncnet-python asks for 50."""


@dataclass(frozen=True)
class Track:
    """One face through frames: boxes (n, 4) of the frames from `start` on."""

    start: int
    boxes: np.ndarray


class LipSync:
    """Sync-C and Sync-D of clips. Raises NetworkFileMissing, WrongNetworkFile or InvalidCheckpoint."""

    def __init__(
        self, folder: Path | None = None, *, syncnet: StandardFile = SYNCNET, s3fd: StandardFile = S3FD
    ) -> None:
        self._find = FaceBoxes(folder, file=s3fd)
        path = find_standard(syncnet, folder)
        self._network = filled(SyncNetV2(), published_tensors(path), path)

    def __call__(self, frames: Callable[[], Iterable[np.ndarray]], sound: Waveform) -> SyncScore:
        """Score of the face that is seen longest. frames: gives the frames, uint8 RGB (h, w, 3) at 25 frames
        a second, from the start at each call; they are read twice, and only the crops of the face are held.

        Raises NoFaceFound, or UnusableClip where no face is seen for MIN_TRACK_FRAMES.
        """
        return self.score_track(frames(), longest_track([self._find(frame) for frame in frames()]), sound)

    def score_track(self, frames: Iterable[np.ndarray], track: Track, sound: Waveform) -> SyncScore:
        """Score of one face. Raises UnusableClip where its sound is too short for a single window."""
        crops = np.stack(list(crop_track(frames, track)))
        samples = resample(sound.samples, sound.rate_hz, RATE_HZ)
        first, last = (round(at * RATE_HZ / VIDEO_FPS) for at in (track.start, track.start + len(crops)))
        coefficients = (
            mfcc(Waveform(samples[first:last], RATE_HZ)) if first < len(samples) else np.zeros((0, 13))
        )
        if min(len(crops), len(coefficients) // 4) <= FRAMES:
            raise UnusableClip("the sound ends before the face has been seen for a window of SyncNet")
        return sync_score(*clip_vectors(self._network, crops, coefficients))


def longest_track(found: Sequence[np.ndarray], min_frames: int = MIN_TRACK_FRAMES) -> Track:
    """The face that is seen longest in boxes (n, 4) of each frame. Frames without it take boxes between.

    Raises NoFaceFound or UnusableClip.
    """
    open_tracks: list[dict[int, np.ndarray]] = []
    for frame, boxes in enumerate(found):
        for box in boxes:
            near = [track for track in open_tracks if _continues(track, frame, box)]
            if near:
                near[0][frame] = box
            else:
                open_tracks.append({frame: box})
    if not open_tracks:
        raise NoFaceFound("S3FD finds no face in the clip.")
    longest = max(open_tracks, key=len)
    if len(longest) < min_frames:
        raise UnusableClip(f"the longest face is seen in {len(longest)} frames; SyncNet needs {min_frames}")
    seen, boxes = np.array(list(longest)), np.array(list(longest.values()))
    between = np.array(range(min(longest), max(longest) + 1))
    return Track(
        min(longest), np.column_stack([np.interp(between, seen, boxes[:, side]) for side in range(4)])
    )


def _continues(track: dict[int, np.ndarray], frame: int, box: np.ndarray) -> bool:
    last = next(reversed(track))
    return (
        last < frame <= last + MAX_GAP_FRAMES
        and float(overlap(box, track[last][None])[0]) > SAME_FACE_OVERLAP
    )


def crop_track(frames: Iterable[np.ndarray], track: Track) -> Iterator[np.ndarray]:
    """Yield the face of each frame of a track, uint8 RGB (224, 224, 3)."""
    x0, y0, x1, y1 = track.boxes.T
    half = _median(np.maximum(x1 - x0, y1 - y0) / 2)
    centre_x, centre_y = _median((x0 + x1) / 2), _median((y0 + y1) / 2)
    last = track.start + len(track.boxes)
    for place, whole in enumerate(islice(frames, track.start, last)):
        size = half[place]
        pad = int(size * (1 + 2 * CROP_MARGIN))
        frame = cv2.copyMakeBorder(whole, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(BORDER_GREY,) * 3)
        x, y = centre_x[place] + pad, centre_y[place] + pad
        rows = slice(int(y - size), int(y + size * (1 + 2 * CROP_MARGIN)))
        columns = slice(int(x - size * (1 + CROP_MARGIN)), int(x + size * (1 + CROP_MARGIN)))
        yield cv2.resize(frame[rows, columns], (CROP_PX, CROP_PX))


def _median(values: np.ndarray) -> np.ndarray:
    """Running median, with zeros beyond the ends as in scipy.signal.medfilt."""
    padded = np.pad(values, SMOOTHING_FRAMES // 2)
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, SMOOTHING_FRAMES), axis=1)
