"""A video -> what the metrics of this project read from it, so that nothing is looked at twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sonimate.audio.voice_gate import voice_gate
from sonimate.checkpoints.registry import AUDIO_ENCODER, BUNDLED, SYNC_NETWORK, VOICE_DETECTOR
from sonimate.checkpoints.store import load_audio_encoder, load_network
from sonimate.clock import SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import UnusableClip
from sonimate.evaluate.background import background_shift
from sonimate.evaluate.face_curves import FaceCurves, ShapeCurves, face_curves, shape_curves
from sonimate.evaluate.smooth_flow import smooth_flow
from sonimate.evaluate.sync_m import MAX_DELAY_FRAMES, MIN_FRAMES, SyncJudge, SyncReading
from sonimate.face.blendshapes import BlendshapeNetwork
from sonimate.face.mesh import FaceMesh
from sonimate.face.tracking import fill_gaps, stack_landmarks
from sonimate.media.audio import read_audio
from sonimate.media.video import read_frames
from sonimate.models.voice_detector import VoiceDetector

EVERY = 5
"""Every fifth frame is enough to find a background that moves."""
NAN = float("nan")
ARRAYS = ("landmarks", "blendshapes", "voice")
NUMBERS = ("found", "smooth_flow", "background")


@dataclass(frozen=True)
class Watched:
    """One video with sound, n frames at 25 fps.

    landmarks: (n, 478, 3) px. blendshapes: (n, 52). voice: (n,) how far a mouth may move to the sound, 0
    where there is no voice. sync: by Sync-M, None below its shortest length. found: share of frames with a
    face. smooth_flow, background: as their modules define them, NaN without pictures.
    """

    landmarks: np.ndarray
    blendshapes: np.ndarray
    voice: np.ndarray
    sync: SyncReading | None
    found: float = 1.0
    smooth_flow: float = NAN
    background: float = NAN

    def as_features(self) -> dict[str, np.ndarray]:
        """Small arrays, by name, that `from_features` turns back."""
        delays = range(-MAX_DELAY_FRAMES, MAX_DELAY_FRAMES + 1)
        similarity = [self.sync.similarity[late] for late in delays] if self.sync else []
        arrays = {name: getattr(self, name) for name in ARRAYS}
        numbers = {name: np.array(getattr(self, name)) for name in NUMBERS}
        return arrays | numbers | {"sync": np.array(similarity)}

    @classmethod
    def from_features(cls, features: Mapping[str, np.ndarray]) -> Watched:
        """The inverse of `as_features`."""
        delays = range(-MAX_DELAY_FRAMES, MAX_DELAY_FRAMES + 1)
        similarity = dict(zip(delays, features["sync"].tolist(), strict=False))
        arrays: dict[str, Any] = {name: np.asarray(features[name]) for name in ARRAYS}
        numbers: dict[str, Any] = {name: float(features[name]) for name in NUMBERS}
        return cls(sync=SyncReading(similarity) if similarity else None, **arrays, **numbers)

    @cached_property
    def curves(self) -> FaceCurves:
        return face_curves(self.landmarks)

    @cached_property
    def shapes(self) -> ShapeCurves:
        return shape_curves(self.landmarks)


@dataclass(frozen=True)
class Watcher:
    """The networks that watch."""

    judge: SyncJudge
    voices: VoiceDetector
    blendshapes: BlendshapeNetwork

    @classmethod
    def load(cls) -> Watcher:
        """The bundled networks."""
        model = BUNDLED / "compact"
        encoder = load_audio_encoder(model / AUDIO_ENCODER.name)
        judge = SyncJudge(load_network(BUNDLED, SYNC_NETWORK).eval(), encoder)
        voices = load_network(model, VOICE_DETECTOR)
        return cls(judge, voices, BlendshapeNetwork())

    def watch(self, path: Path) -> Watched:
        """A video file. Raises UnusableClip where it shows no face, and the errors of reading."""
        return self.watch_frames(lambda: read_frames(path, fps=VIDEO_FPS), read_audio(path).samples)

    def watch_frames(self, frames: Callable[[], Iterable[np.ndarray]], samples: np.ndarray) -> Watched:
        """frames: gives the frames, uint8 RGB (h, w, 3) at 25 fps, from the start at each call; they are read
        a few times and never held. samples: the sound at 16 kHz. Raises UnusableClip."""
        faces = list(FaceMesh(num_threads=1).track(frames()))
        if not any(faces):
            raise UnusableClip("no frame shows a face")
        landmarks = fill_gaps(stack_landmarks(faces))
        return replace(
            self.watch_landmarks(landmarks, samples),
            found=float(np.mean([face is not None for face in faces])),
            smooth_flow=smooth_flow(frames()),
            background=background_shift(islice(frames(), 0, None, EVERY), landmarks[0]),
        )

    @torch.no_grad()
    def watch_landmarks(self, landmarks: np.ndarray, samples: np.ndarray) -> Watched:
        """What needs no pictures. landmarks: (n, 478, 3) px; samples: the sound at 16 kHz, of any length."""
        count = len(landmarks)
        sound = np.zeros(count * SAMPLES_PER_VIDEO_FRAME, np.float32)
        sound[: len(samples)] = samples[: len(sound)]
        logits = self.voices(self.judge.encoder(sound)).numpy()
        return Watched(
            landmarks=landmarks,
            blendshapes=self.blendshapes(landmarks),
            voice=voice_gate(logits, count, VIDEO_FPS),
            sync=self.judge(shape_curves(landmarks), sound) if count >= MIN_FRAMES else None,
        )
