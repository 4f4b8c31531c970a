"""Shards of talking clips and synthetic speech -> what the compact model is trained on.

The codec's basis, the gestures and the reduction of audio features are fitted to all clips, also to those of
speakers that training holds out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from sonimate.checkpoints.store import save_mesh_codec
from sonimate.clock import HIDDEN_STATES_PER_VIDEO_FRAME, SAMPLE_RATE_HZ, VIDEO_FPS
from sonimate.codecs.mesh.codec import MeshCodec, canonical_expression
from sonimate.codecs.mesh.fitting import fit_codec
from sonimate.configs import MAX_BUCKET
from sonimate.errors import TooFewClips
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import Pose, apply_motion, fit_pose, rotation_matrix, to_canonical, to_image
from sonimate.features.audio_features import Features, HiddenStates, Reducer, ReducerFit, save_reducers
from sonimate.features.face_gestures import FaceGestures, fit_gestures
from sonimate.features.motion_samples import MotionSample
from sonimate.features.slow_expressions import SlowExpressions, fit_slow_expressions
from sonimate.footage.bucket_labels import bucket_labels
from sonimate.footage.clip_id import ClipId
from sonimate.footage.shards import ShardClip, read_shards
from sonimate.media.audio import resample
from sonimate.media.files import replacing
from sonimate.media.folders import locked
from sonimate.media.wav import from_pcm16
from sonimate.speech.augment import degrade
from sonimate.speech.utterances import find_utterances
from sonimate.types import Progress, Waveform, no_progress

TOKEN_DIM, BUCKET_DIM = 128, 32
SPEEDS = (1.0, 0.9, 1.1)
"""Real clips are also played slower and faster, sound and picture alike; this shifts the voice's pitch."""
VERSIONS = (0, 1)
"""The clip's own sound, and the same sound as another microphone might have recorded it."""
EXPRESSION_GAIN, HEAD_GAIN = (0.7, 1.5), (0.4, 4.0)
"""Ranges of random factors on synthetic expression and head motion, so that the model learns what motion
buckets mean."""
GAZE_CM = 0.065
"""Standard deviation of the sideways gaze of synthetic faces."""
SYNTHETIC_PX_PER_CM = 12.0


@dataclass(frozen=True)
class Derived:
    """clips: the real clips used. dropped: samples left out, because they move too much at another speed.
    synthetic: number of utterances. Clips are given as `str(ClipId)`."""

    clips: list[str]
    dropped: list[str]
    synthetic: int


def write_compact_features(
    shards: Path, out: Path, speech: Path | None, *, seed: int, progress: Progress = no_progress
) -> Derived:
    """Write `out`/codec, reducers.npz, samples/*.npz and derived.json; caches hidden states in `out`/cache.

    shards: a folder of `sonimate prepare`. speech: a folder of `sonimate speech`. progress: called after each
    clip and utterance. Raises FileMissing, TooFewClips, FolderInUse and OutputNotWritable.
    """
    utterances = find_utterances(speech) if speech else []
    clips = list(read_shards(shards))
    if not clips:
        raise TooFewClips(f"No clip in {shards} was accepted; its report.md says why. Prepare more footage.")
    folder = out / "samples"
    with locked(out):
        states = HiddenStates(out / "cache" / "hidden")
        features = Features(states, *_fit_reducers(states, clips, utterances, progress))
        save_reducers(out / "reducers.npz", features.tokens, features.buckets)
        faces = [clip.landmarks().astype(np.float64) for clip in clips]
        codec = fit_codec(faces)
        shapes = [to_canonical(face, fit_pose(face)) for face in faces]
        gestures = fit_gestures(codec, shapes)
        slow = fit_slow_expressions(codec, gestures, shapes)
        folder.mkdir(exist_ok=True)
        for outdated in folder.glob("*.npz"):
            outdated.unlink()
        real = _real_samples(clips, codec, features, np.random.default_rng(seed))
        synthetic = (
            _synthetic_sample(path, codec, gestures, slow, features, np.random.default_rng([seed, index]))
            for index, path in enumerate(utterances)
        )
        total = len(clips) * len(SPEEDS) * len(VERSIONS) + len(utterances)
        dropped = []
        spreads = []
        for done, sample in enumerate(chain(real, synthetic), start=1):
            if sample.kind == "real" and sample.buckets.max() > MAX_BUCKET:
                dropped.append(str(sample.clip_id))
            else:
                sample.save(folder)
                spreads.append(sample.spread)
            progress("samples", done, total)
        expression, head = (np.sqrt(np.mean(variances, axis=0)) for variances in zip(*spreads, strict=True))
        save_mesh_codec(codec.scaled_to(expression, head), out / "codec")
        derived = Derived([str(clip.clip_id) for clip in clips], dropped, len(utterances))
        with replacing(out / "derived.json") as partial:
            partial.write_text(json.dumps(asdict(derived), indent=1) + "\n", encoding="utf-8")
    return derived


def _synthetic_sample(
    path: Path,
    codec: MeshCodec,
    gestures: FaceGestures,
    slow: SlowExpressions,
    features: Features,
    rng: np.random.Generator,
) -> MotionSample:
    """A training sample from a synthetic utterance, on a random mixture of the faces in `gestures`."""
    utterance = _read_utterance(path)
    weights = rng.dirichlet(np.full(len(gestures.neutrals), 0.7))
    spread = rng.normal(size=gestures.neutrals.shape[1]) * gestures.neutrals.std(0) * 0.4
    mouth, blink, brow = utterance["activations"], utterance["blink"], utterance["brow"]
    lid_gap = float(weights @ gestures.lid_gap)
    moves = gestures.expression(mouth, blink, brow, _gaze(len(mouth), rng), lid_gap)
    moves += slow.draw(len(mouth), rng)
    expression_gain, head_gain = np.exp(rng.uniform(*np.log([EXPRESSION_GAIN, HEAD_GAIN]).T))
    expression = weights @ gestures.neutrals + spread + expression_gain * moves
    start = Pose(
        np.array([SYNTHETIC_PX_PER_CM]),
        rotation_matrix(rng.normal(size=(1, 3)) * [0.08, 0.12, 0.04]),
        np.zeros((1, 3)),
    )
    pose = apply_motion(start, head_gain * utterance["head_motion"].astype(np.float64))
    vertices = codec.displacement(expression)
    labels = bucket_labels(to_image(vertices + canonical_vertices(), pose), vertices)
    clip_id = ClipId(path.name)
    rows = features(clip_id, utterance["samples"])
    return MotionSample(clip_id, "synthetic", "synthetic", expression, pose, **rows, buckets=labels)


def _gaze(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Gaze (n, 2) cm of eyes that fixate for half a second to three seconds and then jump."""
    gaze = np.zeros((frames, 2))
    at = 0
    while at < frames:
        hold = int(rng.uniform(0.5, 3.0) * VIDEO_FPS)
        gaze[at : at + hold] = rng.normal(size=2) * [GAZE_CM, GAZE_CM / 2]
        at += hold
    return gaze


def _real_samples(
    clips: list[ShardClip], codec: MeshCodec, features: Features, rng: np.random.Generator
) -> Iterator[MotionSample]:
    """Every clip at all SPEEDS in all VERSIONS."""
    for clip in clips:
        samples, landmarks = clip.sound(), clip.landmarks().astype(np.float64)
        for speed in SPEEDS:
            sound, moved = _play_at(samples, landmarks, speed)
            pose = fit_pose(moved)
            vertices = canonical_expression(to_canonical(moved, pose))
            expression, labels = codec.project(vertices), bucket_labels(moved, vertices)
            degraded = degrade(Waveform(sound, SAMPLE_RATE_HZ), rng).samples
            for version, recording in zip(VERSIONS, (sound, degraded), strict=True):
                clip_id = replace(clip.clip_id, speed=speed, version=version)
                rows = features(clip_id, recording)
                speaker = clip.record["speaker"]
                yield MotionSample(clip_id, speaker, "real", expression, pose, **rows, buckets=labels)


def _play_at(samples: np.ndarray, landmarks: np.ndarray, speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Sound and landmarks at another speed, still 16 kHz and 25 fps."""
    if speed == 1.0:
        return samples, landmarks
    sound = resample(samples, round(SAMPLE_RATE_HZ * speed), SAMPLE_RATE_HZ)
    count = int(len(landmarks) / speed)
    at = np.minimum(np.arange(count) * speed, len(landmarks) - 1)
    base = np.minimum(at.astype(int), len(landmarks) - 2)
    share = (at - base)[:, None, None]
    return sound, (1 - share) * landmarks[base] + share * landmarks[base + 1]


def _fit_reducers(
    states: HiddenStates, clips: list[ShardClip], utterances: list[Path], progress: Progress
) -> tuple[Reducer, Reducer]:
    """Reducers of token and bucket features, fitted to all speech; labels are not used."""
    tokens, buckets = ReducerFit(states.layers * states.dim), ReducerFit(states.dim)
    total = len(clips) + len(utterances)
    for done, (clip_id, samples) in enumerate(_speech(clips, utterances), start=1):
        hidden = states(clip_id, samples)[::HIDDEN_STATES_PER_VIDEO_FRAME]
        tokens.add(hidden.reshape(len(hidden), -1))
        buckets.add(hidden[:, -1])
        progress("audio", done, total)
    return tokens.fit(TOKEN_DIM), buckets.fit(BUCKET_DIM)


def _speech(clips: list[ShardClip], utterances: list[Path]) -> Iterator[tuple[ClipId, np.ndarray]]:
    for clip in clips:
        yield clip.clip_id, clip.sound()
    for path in utterances:
        yield ClipId(path.name), _read_utterance(path)["samples"]


def _read_utterance(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one synthetic utterance, its samples as float32."""
    with np.load(path) as stored:
        utterance = dict(stored)
    utterance["samples"] = from_pcm16(utterance["samples"])
    return utterance
