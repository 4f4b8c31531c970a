"""The metrics of this project that need no download, under names of their own: besides `lip_metrics`, what is
read from landmarks, sound and frames by the bundled networks.

`closures.closure_score` stands apart: it needs the times of /p/, /b/ and /m/.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate.curves import amplitude_ratio, best_lag
from sonimate.evaluate.frechet import FeatureMoments, frechet_distance
from sonimate.evaluate.held_out import upper_face
from sonimate.evaluate.identity import FaceIdentity, models_folder
from sonimate.evaluate.metric import Better, ClipMetric, Detect, Detector, Features, SetMetric
from sonimate.evaluate.statistics import (
    blink_depth,
    blinks_per_minute,
    deformation,
    effective_dimensions,
    median_acceleration,
    spread,
)
from sonimate.evaluate.watching import NAN, Watched, Watcher

LEAST_SILENT_FRAMES = 5


def load_watcher() -> Detect:
    """Sees what `Watched.as_features` holds."""
    watcher = Watcher.load()
    return lambda clip: watcher.watch_frames(clip.frames, clip.sound.samples).as_features()


def load_recogniser() -> Detect:
    """Sees "descriptors" (m, 128) of every fifth frame."""
    identity = FaceIdentity()
    return lambda clip: {"descriptors": identity.of_video(clip.frames())}


def require_recogniser() -> str:
    """Raises ExtraMissing where dlib's models are not installed."""
    models_folder()
    return ""


def descriptors(features: Features) -> np.ndarray:
    """(m, 128)."""
    return features["descriptors"]


WATCHED = Detector(name="watched", version="1", load=load_watcher, reading=Watched.from_features)
RECOGNISED = Detector(
    name="dlib",
    version="1",
    load=load_recogniser,
    require=require_recogniser,
    reading=descriptors,
)


def lip_lag_ms(generated: Watched, real: Watched) -> float:
    """Delay of the generated mouth against the real one, positive where it is late. To be judged on footage
    that training never saw, and beside `own_lag_ms` of the real clip."""
    return best_lag(generated.shapes.opening, real.shapes.opening).milliseconds


def own_lag_ms(video: Watched, _: Watched) -> float:
    """Delay of the mouth against the sound of its own video, by Sync-M."""
    return video.sync.lag.milliseconds if video.sync else NAN


def identity_distance(generated: np.ndarray, real: np.ndarray) -> float:
    """Mean distance of dlib's descriptors (m, 128) from that of the real clip's first face."""
    return float(np.linalg.norm(generated - real[0], axis=1).mean())


def silent_motion(video: Watched, _: Watched) -> float:
    """Mean speed of the opening, mm a second, where no voice is heard."""
    silent = (video.voice[1:] == 0) & (video.voice[:-1] == 0)
    if silent.sum() < LEAST_SILENT_FRAMES:
        return NAN
    return VIDEO_FPS * float(np.abs(np.diff(video.shapes.opening))[silent].mean())


def expression_spread(video: Watched) -> float:
    """Spread of the 52 scores over time, root mean square."""
    return deformation(video.blendshapes[..., None])


def _clip(
    name: str, better: Better, score: Callable[[Watched, Watched], float], source: str, unit: str = ""
) -> ClipMetric:
    return ClipMetric(name=name, detector=WATCHED, better=better, score=score, source=source, unit=unit)


METRICS = (
    _clip(
        "lag",
        "closer to real",
        lip_lag_ms,
        "delay of the mouth against the real one",
        "ms",
    ),
    _clip(
        "opening-ratio",
        "closer to real",
        lambda g, r: amplitude_ratio(g.shapes.opening, r.shapes.opening),
        "spread of the opening over the real one",
    ),
    _clip(
        "width-ratio",
        "closer to real",
        lambda g, r: amplitude_ratio(g.shapes.width, r.shapes.width),
        "spread of the width over the real one",
    ),
    _clip(
        "Sync-M",
        "higher",
        lambda g, _: g.sync.agreement if g.sync else NAN,
        "agreement of lips and sound by a network of this project; not Sync-C",
    ),
    _clip(
        "Sync-M-D",
        "lower",
        lambda g, _: g.sync.distance if g.sync else NAN,
        "distance of lips and sound by the same network; not Sync-D",
    ),
    _clip(
        "Sync-M-lag",
        "closer to real",
        own_lag_ms,
        "delay of the mouth against its sound by the same network",
        "ms",
    ),
    _clip(
        "smooth-flow",
        "higher",
        lambda g, _: g.smooth_flow,
        "every second frame against its neighbours' middle, by optical flow",
    ),
    _clip(
        "background",
        "lower",
        lambda g, _: g.background,
        "p90 of the shift beyond the person, by optical flow",
        "face heights",
    ),
    _clip(
        "head",
        "closer to real",
        lambda g, _: spread(g.curves.rotation),
        "spread of the head's rotation",
        "degrees",
    ),
    _clip(
        "expression", "closer to real", lambda g, _: expression_spread(g), "spread of 52 blendshape scores"
    ),
    _clip(
        "brows",
        "closer to real",
        lambda g, _: upper_face(g.shapes)[0],
        "amplitude of the brows at 0.3 to 4 Hz",
        "mm",
    ),
    _clip(
        "gaze",
        "closer to real",
        lambda g, _: upper_face(g.shapes)[1],
        "spread of the irises of open eyes",
        "mm",
    ),
    _clip(
        "blinks",
        "closer to real",
        lambda g, _: blinks_per_minute(g.shapes.eyes),
        "blinks",
        "a minute",
    ),
    _clip(
        "blink-depth",
        "closer to real",
        lambda g, _: blink_depth(g.shapes.eyes),
        "lids at the deepest point of a blink over the open level",
    ),
    _clip(
        "lip-dimensions",
        "closer to real",
        lambda g, _: effective_dimensions(g.shapes.lips),
        "independent ways in which the lips change",
    ),
    _clip(
        "jitter",
        "closer to real",
        lambda g, _: median_acceleration(g.curves.points),
        "median acceleration of landmarks",
        "face heights",
    ),
    _clip(
        "silent-motion",
        "lower",
        silent_motion,
        "speed of the opening where no voice is heard",
        "mm/s",
    ),
    ClipMetric(
        name="ID-dlib",
        detector=RECOGNISED,
        better="lower",
        score=identity_distance,
        source="distance of dlib's face descriptors from the real first frame's",
    ),
    SetMetric(
        name="E-FID-B",
        detector=WATCHED,
        better="lower",
        statistic=lambda video: FeatureMoments.of(video.blendshapes),
        score=frechet_distance,
        source="Frechet distance of MediaPipe's 52 blendshape scores; not E-FID",
    ),
)
