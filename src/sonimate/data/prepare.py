"""Footage and synthetic speech -> training samples.

`python -m sonimate.data.prepare FOOTAGE -o OUT --speech DIR` writes OUT/codec, OUT/reducers.npz,
OUT/samples/*.npz and OUT/report.json. Tracks and hidden states are kept in OUT/cache, so an interrupted run
goes on where it stopped.

Clips that failed only for their sound still show faces: codec and gestures are fitted on those of them whose
speaker is in no accepted clip, so that held-out speakers stay unseen (with none left, on the accepted ones).
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.codecs.mesh import MeshCodec, canonical_expression, fit_codec
from sonimate.data.buckets import MAX_BUCKET, motion_buckets
from sonimate.data.clips import FPS, Clip, track_folder
from sonimate.data.features import Reducer, ReducerFit, save_reducers
from sonimate.data.gates import SOUND_REASONS, fill_gaps, first_reason, sync_correlations
from sonimate.data.gestures import FaceGestures, fit_gestures
from sonimate.data.samples import Sample
from sonimate.data.synthesis.augment import degrade
from sonimate.errors import TooFewClips
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import (
    Pose,
    apply_motion,
    fit_pose,
    mouth_opening,
    rotation_matrix,
    to_canonical,
    to_image,
)
from sonimate.media.audio import MODEL_RATE_HZ, resample
from sonimate.types import Waveform

ENCODER = Path(__file__).parents[1] / "bundled" / "compact" / "audio_encoder"
TOKEN_DIM, BUCKET_DIM = 128, 32
MIN_SYNC = 0.2
"""Talking clips seen score 0.35 to 0.95; a wrong sound track scores within 0.15 of zero."""
SYNC_DIMS, SYNC_ROWS = 96, range(-5, 7)
SPEEDS = (1.0, 0.9, 1.1)
"""Real clips are also played slower and faster, sound and picture alike, which shifts the pitch too."""
FACE_HEIGHT_CM = 17.7
"""Forehead to chin of the canonical face."""
LIVELINESS, HEAD_GAIN = (0.7, 1.5), (0.4, 4.0)
"""Factors on synthetic expression and head motion, so that the model learns what motion buckets mean."""
GAZE_CM = 0.06
SYNTHETIC_PX_PER_CM = 12.0


@dataclass(frozen=True)
class Report:
    """What became of every clip: `accepted` name -> sync correlation, `rejected` name -> reason."""

    accepted: dict[str, float]
    rejected: dict[str, str]

    def save(self, path: Path, **extra: object) -> None:
        counts = Counter(reason.split(":")[0] for reason in self.rejected.values())
        content = {"accepted": self.accepted, "rejected": self.rejected, "counts": dict(counts), **extra}
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


class HiddenStates:
    """Whisper hidden states of sounds, kept on disk by name and content."""

    def __init__(self, cache: Path):
        self._encoder = WhisperHiddenStates.from_folder(ENCODER)
        self.layers, self.dim = self._encoder.layers, self._encoder.dim
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)

    def __call__(self, name: str, samples: np.ndarray) -> np.ndarray:
        """(t, layers, d) float32."""
        samples = samples.astype(np.float32)
        path = self._cache / f"{name}-{zlib.crc32(samples.tobytes()):08x}.npy"
        if not path.exists():
            states = self._encoder(samples).numpy().astype(np.float16)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, states)
            partial.replace(path)
        return np.load(path).astype(np.float32)


def prepare(footage: Path, out: Path, speech: Path | None, seed: int) -> Report:
    """Run all stages; see the module's docstring. Raises TooFewClips, and the errors of `track_folder`."""
    out.mkdir(parents=True, exist_ok=True)
    rejects: dict[str, str] = {}
    passing, silent_faces = [], []
    for clip in track_folder(footage, out / "cache" / "tracks", rejects):
        reason = first_reason(clip)
        if reason is None:
            passing.append(clip)
            continue
        rejects[clip.name] = reason
        if reason in SOUND_REASONS:
            silent_faces.append(clip)
    if len({clip.speaker for clip in passing}) < 2:
        raise _too_few(out, rejects, "Synchrony needs clips of two speakers, to judge each by the other")
    states = HiddenStates(out / "cache" / "hidden")
    utterances = sorted(speech.glob("[0-9]*.npz")) if speech else []
    tokens, buckets = _fit_reducers(states, passing, utterances)
    save_reducers(out / "reducers.npz", tokens, buckets)

    scores = _sync(states, tokens, passing)
    talking = []
    for clip, score in zip(passing, scores, strict=True):
        if score >= MIN_SYNC:
            talking.append(clip)
        else:
            rejects[clip.name] = f"{SOUND_REASONS[2]}: r = {score:.2f}"
            silent_faces.append(clip)
    if not talking:
        raise _too_few(out, rejects, "In no clip does the sound move with the mouth")
    speakers = {clip.speaker for clip in talking}
    strangers = [clip for clip in silent_faces if clip.speaker not in speakers]
    faces = [fill_gaps(clip.landmarks.astype(np.float64)) for clip in (strangers or talking)]
    codec = fit_codec(faces)
    codec.save(out / "codec")
    gestures = fit_gestures(codec, [to_canonical(face, fit_pose(face)) for face in faces])

    folder = out / "samples"
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.npz"):
        stale.unlink()
    reduce = Features(states, tokens, buckets)
    rng = np.random.default_rng(seed)
    for sample in _real_samples(talking, codec, reduce, rng, rejects):
        sample.save(folder)
    for index, path in enumerate(utterances):
        synthetic_sample(path, codec, gestures, reduce, np.random.default_rng([seed, index])).save(folder)
    accepted = {c.name: round(s, 3) for c, s in zip(passing, scores, strict=True) if c.name not in rejects}
    report = Report(accepted, rejects)
    report.save(
        out / "report.json",
        synthetic=len(utterances),
        basis_fitted_on=sorted(c.name for c in strangers or talking),
    )
    return report


def _too_few(out: Path, rejects: dict[str, str], why: str) -> TooFewClips:
    path = out / "report.json"
    Report({}, rejects).save(path)
    return TooFewClips(f"{why}; give more footage. {path} tells why clips were rejected.")


@dataclass(frozen=True)
class Features:
    """Reduced token and bucket rows of a sound."""

    states: HiddenStates
    tokens: Reducer
    buckets: Reducer

    def __call__(self, name: str, samples: np.ndarray) -> dict[str, np.ndarray]:
        hidden = self.states(name, samples)
        return {
            "token_rows": self.tokens(hidden.reshape(len(hidden), -1)).astype(np.float16),
            "bucket_rows": self.buckets(hidden[:, -1]).astype(np.float16),
        }


def real_sample(
    name: str, speaker: str, landmarks: np.ndarray, codec: MeshCodec, rows: dict[str, np.ndarray]
) -> Sample:
    """A tracked clip (n, 478, 3) px with its audio features as a training sample."""
    pose = fit_pose(landmarks)
    vertices = canonical_expression(to_canonical(landmarks, pose))
    labels = motion_buckets(landmarks, vertices, FACE_HEIGHT_CM)
    return Sample(
        name,
        speaker,
        "real",
        codec.project(vertices),
        pose.scale,
        pose.rotation,
        pose.translation,
        **rows,
        buckets=labels,
    )


def synthetic_sample(
    path: Path, codec: MeshCodec, gestures: FaceGestures, features: Features, rng: np.random.Generator
) -> Sample:
    """One synthetic utterance on a face drawn at random from the people that `gestures` knows."""
    utterance = read_utterance(path)
    weights = rng.dirichlet(np.full(len(gestures.neutrals), 0.7))
    spread = rng.normal(size=gestures.neutrals.shape[1]) * gestures.neutrals.std(0) * 0.4
    frames = len(utterance["activations"])
    moves = gestures.expression(
        utterance["activations"],
        utterance["blink"],
        utterance["brow"],
        _gaze(frames, rng),
        float(weights @ gestures.lid_gap),
    )
    liveliness, head_gain = np.exp(rng.uniform(*np.log([LIVELINESS, HEAD_GAIN]).T))
    expression = weights @ gestures.neutrals + spread + liveliness * moves
    start = Pose(
        np.array([SYNTHETIC_PX_PER_CM]),
        rotation_matrix(rng.normal(size=(1, 3)) * [0.08, 0.12, 0.04]),
        np.zeros((1, 3)),
    )
    pose = apply_motion(start, head_gain * utterance["head_motion"].astype(np.float64))
    vertices = codec.displacement(expression)
    labels = motion_buckets(to_image(vertices + canonical_vertices(), pose), vertices, FACE_HEIGHT_CM)
    rows = features(path.stem, utterance["samples"])
    return Sample(
        path.stem,
        "synthetic",
        "synthetic",
        expression,
        pose.scale,
        pose.rotation,
        pose.translation,
        **rows,
        buckets=labels,
    )


def _gaze(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Eyes fixate for half a second to three seconds and jump: (n, 2) cm."""
    gaze = np.zeros((frames, 2))
    at = 0
    while at < frames:
        hold = int(rng.uniform(0.5, 3.0) * FPS)
        gaze[at : at + hold] = rng.normal(size=2) * [GAZE_CM, GAZE_CM / 2]
        at += hold
    return gaze


def _real_samples(
    clips: list[Clip], codec: MeshCodec, features: Features, rng: np.random.Generator, rejects: dict[str, str]
) -> Iterator[Sample]:
    for clip in clips:
        landmarks = fill_gaps(clip.landmarks.astype(np.float64))
        for speed in SPEEDS:
            sound, moved = _play_at(clip.waveform.samples, landmarks, speed)
            degraded = degrade(Waveform(sound, MODEL_RATE_HZ), rng).samples
            for version, samples in enumerate((sound, degraded)):
                name = f"{clip.name}@{speed:.1f}v{version}"
                sample = real_sample(name, clip.speaker, moved, codec, features(name, samples))
                if sample.buckets.max() > MAX_BUCKET:
                    rejects[clip.name] = (
                        f"moves too much: buckets {sample.buckets.round().astype(int).tolist()}"
                    )
                    continue
                yield sample


def _play_at(samples: np.ndarray, landmarks: np.ndarray, speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Sound and landmarks at another speed, still 16 kHz and 25 fps."""
    if speed == 1.0:
        return samples, landmarks
    sound = resample(samples, round(MODEL_RATE_HZ * speed), MODEL_RATE_HZ)
    count = int(len(landmarks) / speed)
    at = np.minimum(np.arange(count) * speed, len(landmarks) - 1)
    base = np.minimum(at.astype(int), len(landmarks) - 2)
    share = (at - base)[:, None, None]
    return sound, (1 - share) * landmarks[base] + share * landmarks[base + 1]


def _fit_reducers(states: HiddenStates, clips: list[Clip], utterances: list[Path]) -> tuple[Reducer, Reducer]:
    """Principal components of all speech at hand; labels play no part."""
    tokens, buckets = ReducerFit(states.layers * states.dim), ReducerFit(states.dim)
    for name, samples in _speech(clips, utterances):
        hidden = states(name, samples)[::2]
        tokens.add(hidden.reshape(len(hidden), -1))
        buckets.add(hidden[:, -1])
    return tokens.fit(TOKEN_DIM), buckets.fit(BUCKET_DIM)


def _speech(clips: list[Clip], utterances: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    for clip in clips:
        yield f"{clip.name}@1.0v0", clip.waveform.samples
    for path in utterances:
        yield path.stem, read_utterance(path)["samples"]


def read_utterance(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one synthetic utterance, its samples as float32."""
    with np.load(path) as stored:
        utterance = dict(stored)
    utterance["samples"] = utterance["samples"].astype(np.float32) / 32768
    return utterance


def _sync(states: HiddenStates, reducer: Reducer, clips: list[Clip]) -> list[float]:
    openings, features = [], []
    for clip in clips:
        hidden = states(f"{clip.name}@1.0v0", clip.waveform.samples)
        rows = reducer(hidden.reshape(len(hidden), -1))[:, :SYNC_DIMS]
        opening = mouth_opening(fill_gaps(clip.landmarks.astype(np.float64)))
        at = 2 * np.arange(len(opening))[:, None] + np.array(SYNC_ROWS)
        openings.append(opening)
        features.append(rows[np.clip(at, 0, len(rows) - 1)].reshape(len(opening), -1))
    return sync_correlations(openings, features, [clip.speaker for clip in clips])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sonimate.data.prepare", description=__doc__)
    parser.add_argument(
        "footage", type=Path, help="folder of talking clips; a MANIFEST.tsv may name speakers"
    )
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--speech", type=Path, help="folder of python -m sonimate.data.synthesis")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    report = prepare(arguments.footage, arguments.out, arguments.speech, arguments.seed)
    counts = f"accepted {len(report.accepted)}, rejected {len(report.rejected)}"
    print(f"{counts}; see {arguments.out / 'report.json'}")


if __name__ == "__main__":
    main()
