"""The field's own metrics, each by the published networks that the user has downloaded (`standard_files`).

Those whose files are missing, or are not the published ones, are absent from a report, with the reason.
smoothness (AMT-S) is always absent: see docs/decisions/0036.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import islice, tee
from typing import Any, NoReturn

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.errors import MetricLeftOut, UnusableClip, extra_needed
from sonimate.evaluate.frechet import FeatureMoments, FeatureSet, frechet_distance
from sonimate.evaluate.metric import ClipMetric, Detect, Detector, Features, SetMetric, as_stored
from sonimate.evaluate.standard.arcface import FaceVectors
from sonimate.evaluate.standard.face_reconstruction import ExpressionCoefficients
from sonimate.evaluate.standard.i3d import WINDOW_FRAMES, VideoFeatures
from sonimate.evaluate.standard.inception import BATCH, InceptionFeatures
from sonimate.evaluate.standard.raft import RaftFlow, is_dynamic
from sonimate.evaluate.standard.standard_files import (
    ARCFACE,
    FACE_RECONSTRUCTION,
    INCEPTION,
    KINETICS_I3D,
    MEAN_LANDMARKS,
    RAFT_THINGS,
    S3FD,
    SYNCNET,
    StandardFile,
    found_hashes,
)
from sonimate.evaluate.standard.sync_crops import LipSync
from sonimate.evaluate.viewing import SeenClip
from sonimate.face.mesh import FaceMesh


def fid(file: StandardFile = INCEPTION) -> SetMetric:
    """Of all frames."""
    return SetMetric(
        name="FID",
        detector=_networks("inception", _load_inception, file, reading=_the_features),
        better="lower",
        statistic=FeatureSet.of,
        score=frechet_distance,
        source="Fréchet distance of all frames by Inception v3, scaled as pytorch-fid does",
    )


def fvd(file: StandardFile = KINETICS_I3D) -> SetMetric:
    """Of windows of frames, one after another."""
    return SetMetric(
        name="FVD",
        detector=_networks("i3d", _load_i3d, file, reading=_the_features),
        better="lower",
        statistic=FeatureMoments.of,
        score=frechet_distance,
        source=f"Fréchet distance of windows of {WINDOW_FRAMES} frames by I3D, as StyleGAN-V published it",
    )


def lip_sync(syncnet: StandardFile = SYNCNET, s3fd: StandardFile = S3FD) -> tuple[ClipMetric, ClipMetric]:
    """Sync-C and Sync-D, at 25 frames a second whatever the view."""
    detector = _networks("syncnet", _load_lip_sync, syncnet, s3fd)
    return (
        ClipMetric(
            name="Sync-C",
            detector=detector,
            better="higher",
            score=lambda g, _: float(g["confidence"]),
            source="confidence by SyncNet with S3FD crops",
        ),
        ClipMetric(
            name="Sync-D",
            detector=detector,
            better="lower",
            score=lambda g, _: float(g["distance"]),
            source="distance by the same networks",
        ),
    )


def e_fid(file: StandardFile = FACE_RECONSTRUCTION, mean: StandardFile = MEAN_LANDMARKS) -> SetMetric:
    """Of the expression in all frames with a face."""
    return SetMetric(
        name="E-FID",
        detector=_networks(
            "deep3d", _load_expression, file, mean, require=_require_expression, reading=_the_features
        ),
        better="lower",
        statistic=FeatureMoments.of,
        score=frechet_distance,
        source="Fréchet distance of expression coefficients by Deep3DFaceRecon",
    )


def f_sim(file: StandardFile = ARCFACE) -> ClipMetric:
    """Of all frames with a face."""
    return ClipMetric(
        name="F-SIM",
        detector=_networks("arcface", _load_arcface, file, reading=_the_features),
        better="higher",
        score=lambda g, r: float((g @ r[0]).mean()),
        source="mean cosine of ArcFace vectors with that of the real first face",
    )


def dynamic_degree(file: StandardFile = RAFT_THINGS) -> ClipMetric:
    """The share of clips that VBench's rule calls dynamic."""
    return ClipMetric(
        name="dynamic degree",
        detector=_networks("raft", _load_raft, file),
        better="higher",
        score=lambda g, _: float(is_dynamic(g["speeds"].tolist(), *g["size"].tolist())),
        source="share of clips that are dynamic by VBench's rule on RAFT's flow",
    )


def _networks(
    name: str,
    load: Callable[..., Detect],
    *files: StandardFile,
    require: Callable[..., str] = found_hashes,
    reading: Callable[[Features], Any] = as_stored,
) -> Detector:
    """The detector by networks from these files."""
    return Detector(
        name=name,
        version="1",
        load=partial(load, *files),
        require=partial(require, *files),
        reading=reading,
    )


def _the_features(features: Features) -> np.ndarray:
    return features["features"]


def _load_inception(file: StandardFile) -> Detect:
    """Sees "features" (frames, 2048)."""
    measure = InceptionFeatures(file=file)
    return lambda clip: {
        "features": np.concatenate([measure(part) for part in _windows(clip.frames(), BATCH)])
    }


def _load_i3d(file: StandardFile) -> Detect:
    """Sees "features" (windows, 400). A last window that is not whole is left out."""
    measure = VideoFeatures(file=file)

    def see(clip: SeenClip) -> Features:
        whole = [
            measure(part) for part in _windows(clip.frames(), WINDOW_FRAMES) if len(part) == WINDOW_FRAMES
        ]
        if not whole:
            raise UnusableClip(f"FVD needs {WINDOW_FRAMES} frames. Choose a longer clip.")
        return {"features": np.stack(whole)}

    return see


def _load_lip_sync(syncnet: StandardFile, s3fd: StandardFile) -> Detect:
    """Sees "confidence", "distance" and "offset"."""
    measure = LipSync(syncnet=syncnet, s3fd=s3fd)

    def see(clip: SeenClip) -> Features:
        at_25 = SeenClip(clip.path, replace(clip.view, fps=VIDEO_FPS))
        score = measure(at_25.frames, at_25.sound)
        return {name: np.array(value) for name, value in vars(score).items()}

    return see


def _load_expression(file: StandardFile, mean: StandardFile) -> Detect:
    """Sees "features" (frames, 64)."""
    measure = ExpressionCoefficients(file=file, mean_landmarks=mean)
    return lambda clip: {"features": _of_faces(clip, measure)}


def _require_expression(file: StandardFile, mean: StandardFile) -> str:
    with extra_needed("eval"):
        if find_spec("scipy") is None:
            raise ModuleNotFoundError(name="scipy")
    return found_hashes(file, mean)


def _load_arcface(file: StandardFile) -> Detect:
    """Sees "features" (frames, 512), of unit length."""
    measure = FaceVectors(file=file)
    return lambda clip: {"features": _of_faces(clip, measure)}


def _load_raft(file: StandardFile) -> Detect:
    """Sees "speeds" (pairs,) in pixels, and "size" (height, width)."""
    measure = RaftFlow(file=file)

    def see(clip: SeenClip) -> Features:
        first = next(clip.frames())
        speeds = measure.pair_speeds(clip.frames(), clip.view.fps)
        return {"speeds": np.array(speeds), "size": np.array(first.shape[:2])}

    return see


def _of_faces(clip: SeenClip, measure: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """What `measure` gives of each frame and its landmarks, where the followed face is seen."""
    kept, seen = tee(clip.frames())
    faces = FaceMesh(num_threads=1).track(seen)
    found = [measure(frame, face.landmarks) for face, frame in zip(faces, kept, strict=True) if face]
    if not found:
        raise UnusableClip("No frame shows a face. Choose another clip.")
    return np.stack(found)


def _windows(frames: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Frames (h, w, 3) as (count, h, w, 3), one window at a time; the last may be shorter."""
    stream = iter(frames)
    while part := list(islice(stream, count)):
        yield np.stack(part)


def _leave_out_smoothness() -> NoReturn:
    raise MetricLeftOut(
        "sonimate has no AMT-S, the network that defines it (docs/decisions/0036). smooth-flow measures the "
        "same idea by optical flow; do not compare its values with others' smoothness."
    )


SMOOTHNESS = ClipMetric(
    name="smoothness",
    detector=Detector(name="amt-s", version="", load=_leave_out_smoothness, require=_leave_out_smoothness),
    better="higher",
    score=lambda _, __: float("nan"),
    source="VBench's motion smoothness by AMT-S",
)

METRICS = (fid(), fvd(), *lip_sync(), e_fid(), f_sim(), SMOOTHNESS, dynamic_degree())
"""In the order of the paper's table 1."""
