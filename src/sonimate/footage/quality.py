"""Stage `quality`: is the face large, sharp, frontal and alone, and does its mouth move?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sonimate.face.pose import Pose, fit_pose
from sonimate.face.regions import mouth_opening
from sonimate.footage.sample import MIN_SECONDS, Sample
from sonimate.footage.tracks import STAGE as TRACKS

STAGE = "quality"
MAX_LOST_SHARE = 0.02
"""Tracks with gaps come from turned or covered faces, whose landmarks near the gap are wrong too."""
MIN_PRESENCE = 0.9
"""Median probability of a face; faces that nothing covers measure 0.99 and more."""
MIN_SHARPNESS = 0.10
"""See `tracks.face_sharpness`. Talking clips of the public footage measure 0.15 to 0.64."""
MAX_YAW_DEGREES, MAX_PITCH_DEGREES = 40.0, 30.0
"""95th percentiles over the clip. Talking clips of the public footage reach 27 and 23; at larger angles one
corner of the mouth is hidden."""
MAX_RIVAL_SHARE = 0.1
"""Share of the searches of the whole picture that find a second person, who may be the one who speaks."""
MIN_MOUTH_MOVEMENT = 0.006
"""Standard deviation of mouth opening over face height; talking measures 0.019 to 0.047."""


def gate_quality(sample: Sample, *, min_face_px: float) -> Iterator[Sample]:
    """A face track -> the same, with pose statistics, rejected for the first fault."""
    landmarks = sample.landmarks()
    face = pose_statistics(fit_pose(landmarks)) | {"mouth_movement": float(mouth_opening(landmarks).std())}
    track = sample.facts[TRACKS]
    checks = (
        ("too short", sample.seconds < MIN_SECONDS, f"{sample.seconds:.2f} s"),
        ("face lost", track["lost_share"] > MAX_LOST_SHARE, f"{track['lost_share']:.1%} of frames"),
        ("face unclear", track["median_presence"] < MIN_PRESENCE, f"presence {track['median_presence']:.2f}"),
        ("face too small", track["face_height_px"] < min_face_px, f"{track['face_height_px']:.0f} px"),
        ("blurred", track["sharpness"] < MIN_SHARPNESS, f"sharpness {track['sharpness']:.2f}"),
        ("more than one person", track["rival_share"] > MAX_RIVAL_SHARE, f"{track['rival_share']:.0%}"),
        ("turned away", face["yaw_p95_degrees"] > MAX_YAW_DEGREES, f"{face['yaw_p95_degrees']:.0f} degrees"),
        ("tilted", face["pitch_p95_degrees"] > MAX_PITCH_DEGREES, f"{face['pitch_p95_degrees']:.0f} degrees"),
        ("mouth does not move", face["mouth_movement"] < MIN_MOUTH_MOVEMENT, f"{face['mouth_movement']:.4f}"),
    )
    known = sample.with_facts(STAGE, **face)
    faults = (known.rejected(STAGE, reason, detail) for reason, is_so, detail in checks if is_so)
    yield next(faults, known)


def pose_statistics(pose: Pose) -> dict[str, float]:
    """Degrees: medians of the head's angles, and 95th percentiles of how far it turns and tilts."""
    yaw, pitch, roll = np.degrees(head_angles(pose.rotation)).T
    return {
        "yaw_median_degrees": float(np.median(yaw)),
        "pitch_median_degrees": float(np.median(pitch)),
        "roll_median_degrees": float(np.median(roll)),
        "yaw_p95_degrees": float(np.percentile(np.abs(yaw), 95)),
        "pitch_p95_degrees": float(np.percentile(np.abs(pitch), 95)),
    }


def head_angles(rotation: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) -> yaw, pitch, roll (n, 3) in rad: R = roll about z, then pitch about x, then yaw
    about y, applied from right to left. Positive: to the viewer's right, down, counter-clockwise."""
    pitch = np.arcsin(np.clip(rotation[:, 2, 1], -1, 1))
    yaw = np.arctan2(-rotation[:, 2, 0], rotation[:, 2, 2])
    roll = np.arctan2(-rotation[:, 0, 1], rotation[:, 1, 1])
    return np.stack([yaw, pitch, roll], axis=1)
