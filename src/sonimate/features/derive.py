"""Shards of talking clips and synthetic speech -> what the compact model trains on.

Clips that were rejected only for their sound still show faces: codec and gestures are fitted on those of them
whose speaker is in no accepted clip, so that held-out speakers stay unseen (with none left, on the accepted
ones).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sonimate.checkpoints.store import save_mesh_codec
from sonimate.clock import SAMPLE_RATE_HZ, VIDEO_FPS
from sonimate.codecs.mesh.codec import MeshCodec, canonical_expression, fit_codec
from sonimate.configs import MAX_BUCKET
from sonimate.errors import TooFewClips
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import Pose, apply_motion, fit_pose, rotation_matrix, to_canonical, to_image
from sonimate.features.face_gestures import FaceGestures, fit_gestures
from sonimate.features.hidden_states import Features, HiddenStates
from sonimate.features.motion_samples import MotionSample
from sonimate.features.reducer import Reducer, ReducerFit, save_reducers
from sonimate.footage import sync, voice_activity
from sonimate.footage.bucket_labels import motion_buckets
from sonimate.footage.clip_id import ClipId
from sonimate.footage.shards import REJECTED, ShardClip, read_shards
from sonimate.media.audio import resample
from sonimate.media.files import write_errors
from sonimate.speech.augment import degrade
from sonimate.speech.utterances import find_utterances
from sonimate.types import Waveform

TOKEN_DIM, BUCKET_DIM = 128, 32
SPEEDS = (1.0, 0.9, 1.1)
"""Real clips are also played slower and faster, sound and picture alike, which shifts the pitch too."""
LIVELINESS, HEAD_GAIN = (0.7, 1.5), (0.4, 4.0)
"""Factors on synthetic expression and head motion, so that the model learns what motion buckets mean."""
GAZE_CM = 0.06
SYNTHETIC_PX_PER_CM = 12.0


@dataclass(frozen=True)
class Derived:
    """clips: the real clips used. dropped: samples left out because a changed speed moves too much.
    synthetic: number of utterances. basis_fitted_on: the clips that codec and gestures are fitted on. Clips
    are given as `str(ClipId)`."""

    clips: list[str]
    dropped: list[str]
    synthetic: int
    basis_fitted_on: list[str]


def derive(
    shards: Path, out: Path, utterances: Path | None, *, seed: int, speeds: Sequence[float] = SPEEDS
) -> Derived:
    """Write `out`/codec, reducers.npz, samples/*.npz and derived.json. Hidden states are kept in `out`/cache.

    utterances: a folder of `python -m sonimate.speech`. Raises FileMissing, TooFewClips and
    OutputNotWritable.
    """
    spoken = find_utterances(utterances) if utterances else []
    clips = list(read_shards(shards))
    if not clips:
        raise TooFewClips(f"No clip in {shards} was accepted; give more footage. Its report.md tells why.")
    with write_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    states = HiddenStates(out / "cache" / "hidden")
    tokens, buckets = _fit_reducers(states, clips, spoken)
    save_reducers(out / "reducers.npz", tokens, buckets)
    known = _strangers(clips, shards) or clips
    faces = [clip.landmarks().astype(np.float64) for clip in known]
    codec = fit_codec(faces)
    save_mesh_codec(codec, out / "codec")
    gestures = fit_gestures(codec, [to_canonical(face, fit_pose(face)) for face in faces])

    folder = out / "samples"
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.npz"):
        stale.unlink()
    features = Features(states, tokens, buckets)
    dropped = []
    for sample in _real_samples(clips, codec, features, np.random.default_rng(seed), speeds):
        if sample.buckets.max() > MAX_BUCKET:
            dropped.append(str(sample.clip_id))
        else:
            sample.save(folder)
    for index, path in enumerate(spoken):
        synthetic_sample(path, codec, gestures, features, np.random.default_rng([seed, index])).save(folder)
    used, fitted_on = ([str(clip.clip_id) for clip in some] for some in (clips, known))
    derived = Derived(used, dropped, len(spoken), fitted_on)
    (out / "derived.json").write_text(json.dumps(asdict(derived), indent=1) + "\n")
    return derived


def _strangers(clips: list[ShardClip], shards: Path) -> list[ShardClip]:
    """Clips whose sound alone was at fault, of people whom no accepted clip shows."""
    speakers = {clip.record["speaker"] for clip in clips}
    return [
        clip
        for clip in read_shards(shards, REJECTED)
        if clip.record["rejection"]["stage"] in (voice_activity.STAGE, sync.STAGE)
        and clip.record["speaker"] not in speakers
    ]


def real_sample(
    clip_id: ClipId, speaker: str, landmarks: np.ndarray, codec: MeshCodec, rows: dict[str, np.ndarray]
) -> MotionSample:
    """A tracked clip (n, 478, 3) px with its audio features as a training sample."""
    pose = fit_pose(landmarks)
    vertices = canonical_expression(to_canonical(landmarks, pose))
    labels = motion_buckets(landmarks, vertices)
    return MotionSample(
        clip_id,
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
) -> MotionSample:
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
    labels = motion_buckets(to_image(vertices + canonical_vertices(), pose), vertices)
    clip_id = ClipId(path.name)
    rows = features(clip_id, utterance["samples"])
    return MotionSample(
        clip_id,
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
        hold = int(rng.uniform(0.5, 3.0) * VIDEO_FPS)
        gaze[at : at + hold] = rng.normal(size=2) * [GAZE_CM, GAZE_CM / 2]
        at += hold
    return gaze


def _real_samples(
    clips: list[ShardClip],
    codec: MeshCodec,
    features: Features,
    rng: np.random.Generator,
    speeds: Sequence[float],
) -> Iterator[MotionSample]:
    """Every clip at every speed, with its sound as it is (v0) and as another recording (v1)."""
    for clip in clips:
        samples, landmarks = clip.sound(), clip.landmarks().astype(np.float64)
        for speed in speeds:
            sound, moved = _play_at(samples, landmarks, speed)
            degraded = degrade(Waveform(sound, SAMPLE_RATE_HZ), rng).samples
            for version, heard in enumerate((sound, degraded)):
                clip_id = replace(clip.clip_id, speed=speed, version=version)
                yield real_sample(clip_id, clip.record["speaker"], moved, codec, features(clip_id, heard))


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
    states: HiddenStates, clips: list[ShardClip], utterances: list[Path]
) -> tuple[Reducer, Reducer]:
    """Principal components of all speech at hand; labels play no part."""
    tokens, buckets = ReducerFit(states.layers * states.dim), ReducerFit(states.dim)
    for clip_id, samples in _speech(clips, utterances):
        hidden = states(clip_id, samples)[::2]
        tokens.add(hidden.reshape(len(hidden), -1))
        buckets.add(hidden[:, -1])
    return tokens.fit(TOKEN_DIM), buckets.fit(BUCKET_DIM)


def _speech(clips: list[ShardClip], utterances: list[Path]) -> Iterator[tuple[ClipId, np.ndarray]]:
    for clip in clips:
        yield clip.clip_id, clip.sound()
    for path in utterances:
        yield ClipId(path.name), read_utterance(path)["samples"]


def read_utterance(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one synthetic utterance, its samples as float32."""
    with np.load(path) as stored:
        utterance = dict(stored)
    utterance["samples"] = utterance["samples"].astype(np.float32) / 32768
    return utterance
