"""Controlled damage to real clips, each of one kind and in growing amounts; amount 0 (scales: 1) is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from sonimate.clock import SAMPLES_PER_VIDEO_FRAME
from sonimate.evaluate.face_curves import SCALED_HEIGHT_MM
from sonimate.face.pose import fit_pose, to_canonical, to_image
from sonimate.face.regions import LIPS_BETWEEN, LIPS_INNER, LIPS_OUTER, face_height, mouth_opening

CONTOURS = (LIPS_INNER, LIPS_OUTER, *LIPS_BETWEEN)
LIPS = sum(CONTOURS, ())
LOWER_LIP = sum((contour[11:] for contour in CONTOURS), ())
"""Of each contour, what lies below its corners."""
X, Y = 0, 1


@dataclass(frozen=True)
class Footage:
    """A clip in memory. frames: (n, h, w, 3) uint8 RGB at 25 fps. landmarks: (n, 478, 3) px. samples:
    (n * 640,) at 16 kHz. stranger: frames of another person, of the same shape."""

    frames: np.ndarray
    landmarks: np.ndarray
    samples: np.ndarray
    stranger: np.ndarray

    def at(self, frames: np.ndarray) -> Footage:
        """Picture and face of these frames (n,), the sound as it was."""
        return replace(self, frames=self.frames[frames], landmarks=self.landmarks[frames])


@dataclass(frozen=True)
class Damage:
    """label: of its amounts. apply(clip, amount, rng) -> the damaged clip. none: the amount that is no
    damage. pictures: whether frames change, so that the face must be found in them again."""

    name: str
    label: str
    amounts: tuple[float, ...]
    apply: Callable[[Footage, float, np.random.Generator], Footage]
    none: float = 0.0
    pictures: bool = False


def play_late(clip: Footage, frames: float, _: np.random.Generator) -> Footage:
    """The mouth late (negative: early) against the sound; the first or last frame stands in."""
    count = len(clip.frames)
    return clip.at(np.clip(np.arange(count) - round(frames), 0, count - 1))


def shuffle(clip: Footage, share: float, rng: np.random.Generator) -> Footage:
    """This share of the frames change places."""
    order = np.arange(len(clip.frames))
    chosen = rng.permutation(len(order))[: round(share * len(order))]
    order[np.sort(chosen)] = chosen
    return clip.at(order)


def blur(clip: Footage, heights: float, _: np.random.Generator) -> Footage:
    """Gaussian blur of this standard deviation, in face heights."""
    sigma = heights * float(np.median(face_height(clip.landmarks)))
    if sigma == 0:
        return clip
    return replace(clip, frames=np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in clip.frames]))


def freeze(clip: Footage, share: float, _: np.random.Generator) -> Footage:
    """The last share of the clip stands still."""
    count = len(clip.frames)
    last = max(round((1 - share) * count) - 1, 0)
    return clip.at(np.minimum(np.arange(count), last))


def swap_identity(clip: Footage, share: float, rng: np.random.Generator) -> Footage:
    """This share of the frames shows another person."""
    frames = clip.frames.copy()
    chosen = rng.permutation(len(frames))[: round(share * len(frames))]
    frames[chosen] = clip.stranger[chosen]
    return replace(clip, frames=frames)


def scale_lips(clip: Footage, factor: float, axis: int) -> Footage:
    """How far the lips move along one axis of the face from where they are when nearest, times this."""

    def scale(vertices: np.ndarray) -> None:
        lips, shut = vertices[:, LIPS, axis], vertices[nearest(clip), LIPS, axis]
        vertices[:, LIPS, axis] = shut + factor * (lips - shut)

    return reshape(clip, scale)


def gape(clip: Footage, mm: float, _: np.random.Generator) -> Footage:
    """The lower lip hangs by this much at all times, on a face of 18 cm."""

    def lower(vertices: np.ndarray) -> None:
        vertices[:, LOWER_LIP, Y] -= mm / SCALED_HEIGHT_MM * np.median(face_height(vertices))

    return reshape(clip, lower)


def move_in_silence(clip: Footage, share: float, _: np.random.Generator) -> Footage:
    """The second half of the sound is silent, and there the lips go on with this share of their motion."""
    half = len(clip.frames) // 2

    def calm(vertices: np.ndarray) -> None:
        lips, shut = vertices[half:, LIPS], vertices[nearest(clip), LIPS]
        vertices[half:, LIPS] = shut + share * (lips - shut)

    return reshape(mute(clip, 0.5, _), calm)


def nearest(clip: Footage) -> int:
    """The frame in which the lips are nearest."""
    return int(mouth_opening(clip.landmarks).argmin())


def reshape(clip: Footage, change: Callable[[np.ndarray], None]) -> Footage:
    """change: alters vertices (n, 478, 3) without pose, in place."""
    landmarks = clip.landmarks.astype(np.float64)
    pose = fit_pose(landmarks)
    vertices = to_canonical(landmarks, pose)
    change(vertices)
    return replace(clip, landmarks=to_image(vertices, pose).astype(np.float32))


def shake(clip: Footage, heights: float, rng: np.random.Generator) -> Footage:
    """The camera shakes by this standard deviation, in face heights."""
    moves = rng.normal(0, heights * float(np.median(face_height(clip.landmarks))), (len(clip.frames), 2))
    size = clip.frames.shape[2], clip.frames.shape[1]
    moves[0] = 0

    def moved() -> Iterator[np.ndarray]:
        for frame, (x, y) in zip(clip.frames, moves, strict=True):
            yield cv2.warpAffine(frame, np.array([[1, 0, x], [0, 1, y]]), size, borderMode=cv2.BORDER_REFLECT)

    return replace(clip, frames=np.stack(list(moved())))


def mute(clip: Footage, share: float, _: np.random.Generator) -> Footage:
    """The last share of the sound is silent, and the mouth goes on."""
    samples = clip.samples.copy()
    kept = round((1 - share) * len(clip.frames)) * SAMPLES_PER_VIDEO_FRAME
    samples[kept:] = 0
    return replace(clip, samples=samples)


def interpolate(clip: Footage, share: float, _: np.random.Generator) -> Footage:
    """Every second frame, from the second, moves by this share to the middle of its neighbours."""
    landmarks = clip.landmarks.copy()
    odd = np.arange(1, len(landmarks) - 1, 2)
    middle = (clip.landmarks[odd - 1] + clip.landmarks[odd + 1]) / 2
    landmarks[odd] += share * (middle - clip.landmarks[odd])
    return replace(clip, landmarks=landmarks)


def tremble(clip: Footage, heights: float, rng: np.random.Generator) -> Footage:
    """Noise of this standard deviation, in face heights, on every landmark of every frame."""
    noise = rng.normal(0, heights * float(np.median(face_height(clip.landmarks))), clip.landmarks.shape)
    return replace(clip, landmarks=clip.landmarks + noise.astype(np.float32))


SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SCALES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
DAMAGES = (
    Damage("mouth late", "frames", tuple(range(-5, 6)), play_late),
    Damage("opening scaled", "times", SCALES, lambda clip, by, _: scale_lips(clip, by, Y), none=1.0),
    Damage("width scaled", "times", SCALES, lambda clip, by, _: scale_lips(clip, by, X), none=1.0),
    Damage("mouth gapes", "mm", (0.0, 1.0, 2.0, 3.0, 4.0), gape),
    Damage("frames interpolated", "share of the way", (0.0, 0.2, 0.4, 0.6, 0.8), interpolate),
    Damage("landmarks tremble", "face heights", (0.0, 0.001, 0.002, 0.004, 0.008), tremble),
    Damage("sound muted", "share of the time", SHARES, mute),
    Damage("moves in silence", "share of its motion", SHARES, move_in_silence, none=0.0),
    Damage("frames shuffled", "share of frames", (0.0, 0.15, 0.3, 0.5, 0.7), shuffle, pictures=True),
    Damage("frozen", "share of the time", SHARES, freeze, pictures=True),
    Damage("blurred", "face heights", (0.0, 0.01, 0.02, 0.04, 0.06), blur, pictures=True),
    Damage("identity swapped", "share of frames", SHARES, swap_identity, pictures=True),
    Damage("camera shakes", "face heights", (0.0, 0.005, 0.01, 0.02, 0.04), shake, pictures=True),
)
