"""How the network of Sync-M learns: which lips and sounds it sees, the loss, and the judging."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.store import load_mesh_codec
from sonimate.clock import SAMPLE_RATE_HZ, SAMPLES_PER_HIDDEN_STATE, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.evaluate.face_curves import SCALED_HEIGHT_MM
from sonimate.evaluate.lips import Clip
from sonimate.evaluate.sync_m import MAX_DELAY_FRAMES, hear_frames, lip_motion, read_sync
from sonimate.face.canonical import canonical_vertices
from sonimate.face.regions import LIPS_INNER, LIPS_OUTER, face_height
from sonimate.features.motion_samples import MotionSample
from sonimate.footage.clip_id import ClipId
from sonimate.footage.retiming import delayed
from sonimate.models.sync_network import REACH_FRAMES, SyncNetwork, SyncNetworkConfig
from sonimate.speech.augment import change_speaker, degrade
from sonimate.speech.phones import SILENCE
from sonimate.speech.utterances import find_utterances

STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 800, 24, 2e-3, 0.05
WINDOW_FRAMES = 25
"""Embeddings over which a similarity is averaged in training: a second of footage tells one delay."""
SLACK_FRAMES = 0.7
"""Standard deviation of the delays that count as right: a clip's own lag is known to about half a frame."""
PRONOUNCED = 14.0
"""Factor of the cosines in the softmax, at the start; it is learned."""
OTHERS_SHARE = 0.3
"""Weight of telling clips apart, against telling delays apart."""
SYNTHETIC_SHARE = 0.3
SOUND_NOISE, COLOUR_NOISE, LIP_NOISE = 0.15, 0.1, 0.03
"""Standard deviations of what is added: to standardised hidden states, for each row and for a whole window,
and to lips of spread 1."""
STRETCH, SIZE = (0.7, 1.4), (0.8, 1.2)
"""Random factors of width and of height of the lips' motion, and of both."""
SPEEDS = (0.87, 1.15)
COPIES_SECONDS = 36.0
"""Of random recordings of each clip, at most COPIES of them."""
COPIES = 12
BEFORE_SECONDS = 1.5
"""At most this much of another sound is put before a clip, since Whisper's rows know their place in time, and
every sentence of GRID begins at the same one."""
SHIFTS = (-8, -5, -3, 3, 5, 8)
"""Frames that sounds are moved by, to be found again; positive: later."""
TOLD_APART = 5
_half = [(10 - i) % 20 for i in range(20)]
MIRRORED = [*_half, *(20 + i for i in _half)]
"""The lips' points as in a mirror."""

Pair = tuple[np.ndarray, np.ndarray]
"""Lip motion (n, 80) and hidden states (2 * n, channels) float16 of the same time."""


@dataclass(frozen=True)
class HeardClip:
    """A clip as the network sees it: as filmed, in random recordings, and with its sound moved."""

    clip: Clip
    source: str
    own: Pair
    copies: list[Pair]
    moved: dict[int, Pair]


def hear_clip(encoder: WhisperHiddenStates, clip: Clip, source: str, rng: np.random.Generator) -> HeardClip:
    """clip: re-timed, of at most some seconds."""
    samples, lips = clip.waveform.samples, lip_motion(clip.shapes.lips)
    copies = min(COPIES, round(COPIES_SECONDS / clip.seconds))
    return HeardClip(
        clip,
        source,
        (lips, _hear(encoder, samples)),
        [_recorded_anew(encoder, clip, rng) for _ in range(copies)],
        {k: (lips, _hear(encoder, delayed(samples, 1000 * k / VIDEO_FPS))) for k in SHIFTS},
    )


def _hear(encoder: WhisperHiddenStates, samples: np.ndarray) -> np.ndarray:
    return hear_frames(encoder, samples.astype(np.float32)).astype(np.float16)


def _recorded_anew(encoder: WhisperHiddenStates, clip: Clip, rng: np.random.Generator) -> Pair:
    """The clip at another speed, degraded, behind noise of some length."""
    speed = rng.uniform(*SPEEDS)
    count = int((len(clip.shapes) - 1) / speed)
    at = np.arange(count) * speed
    first, share = at.astype(int), (at % 1)[:, None, None]
    lips = clip.shapes.lips
    moved = (1 - share) * lips[first] + share * lips[first + 1]
    sound = degrade(change_speaker(clip.waveform, [], speed)[0], rng).samples
    sound = np.resize(sound, count * SAMPLES_PER_VIDEO_FRAME)
    before = rng.integers(int(BEFORE_SECONDS * SAMPLE_RATE_HZ)) // SAMPLES_PER_VIDEO_FRAME
    noise = rng.normal(0, 10 ** rng.uniform(-5, -2.5), before * SAMPLES_PER_VIDEO_FRAME)
    hidden = _hear(encoder, np.concatenate([noise, sound]))
    rows = before * SAMPLES_PER_VIDEO_FRAME // SAMPLES_PER_HIDDEN_STATE
    return lip_motion(moved), hidden[rows:]


def synthetic_pairs(encoder: WhisperHiddenStates, speech: Path, data: Path, count: int) -> Iterator[Pair]:
    """Utterances of a folder of `sonimate speech`, evenly chosen, with the lips that `sonimate
    features` drew for them in `data`; those without a voice are left out."""
    codec = load_mesh_codec(data / "codec")
    utterances = find_utterances(speech)
    for path in utterances[:: max(len(utterances) // count, 1)][:count]:
        with np.load(path) as stored:
            samples = stored["samples"].astype(np.float32) / 32768
            spoken = set(stored["phone_symbols"].tolist()) != {SILENCE}
        drawn = data / "samples" / f"{ClipId(path.name).key}.npz"
        if not (spoken and drawn.is_file()):
            continue
        vertices = canonical_vertices() + codec.displacement(MotionSample.load(drawn).expression)
        vertices *= SCALED_HEIGHT_MM / np.median(face_height(vertices))
        frames = min(len(vertices), len(samples) // SAMPLES_PER_VIDEO_FRAME)
        lips = vertices[:frames, LIPS_OUTER + LIPS_INNER, :2]
        yield lip_motion(lips), _hear(encoder, samples[: frames * SAMPLES_PER_VIDEO_FRAME])


def fit(clips: Sequence[HeardClip], synthetic: Sequence[Pair] = (), *, seed: int = 0) -> SyncNetwork:
    """Contrastive training: of all delays the right one, and of all clips of a batch the own one, must agree
    most. A speaker of n clips is drawn in proportion to the root of n."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    spoken = [pair for clip in clips for pair in [clip.own, *clip.copies]]
    counts = Counter(clip.clip.speaker for clip in clips)
    weights = [counts[clip.clip.speaker] ** -0.5 / (1 + len(clip.copies)) for clip in clips]
    chances = np.repeat(weights, [1 + len(clip.copies) for clip in clips])
    chances /= chances.sum()
    network = SyncNetwork(SyncNetworkConfig())
    hidden = np.concatenate([pair[1] for pair in (*(clip.own for clip in clips), *synthetic)])
    mean, deviation = hidden.mean(0, np.float32), hidden.std(0, np.float32) + 1e-2
    _start_at_components(network.reduce_lips, np.concatenate([clip.own[0] for clip in clips]))
    _start_at_components(network.reduce_sound, (hidden[:: len(hidden) // 8000 + 1] - mean) / deviation)
    pronounced = torch.nn.Parameter(torch.tensor(PRONOUNCED).log())
    optimizer = torch.optim.AdamW(
        [*network.parameters(), pronounced], LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS)
    delays = torch.arange(-MAX_DELAY_FRAMES, MAX_DELAY_FRAMES + 1)
    right = torch.softmax(-0.5 * (delays / SLACK_FRAMES) ** 2, 0)
    for _ in range(STEPS):
        windows: list[Pair] = []
        while len(windows) < BATCH:
            drawn = synthetic if synthetic and rng.random() < SYNTHETIC_SHARE else spoken
            chosen = rng.choice(len(drawn), p=chances if drawn is spoken else None)
            windows += filter(None, [draw_window(drawn[chosen], rng)])
        lips = torch.from_numpy(np.stack([window[0] for window in windows]))
        sound = torch.from_numpy((np.stack([window[1] for window in windows]) - mean) / deviation)
        sound = sound + SOUND_NOISE * torch.randn_like(sound) + COLOUR_NOISE * torch.randn_like(sound[:, :1])
        seen = network.embed_lips(lips + LIP_NOISE * torch.randn_like(lips))
        heard = network.embed_sound(sound)
        moved = heard.unfold(1, WINDOW_FRAMES, 1)  # (b, delays, e, frames)
        by_delay = torch.einsum("bfe,bdef->bd", seen, moved) / WINDOW_FRAMES * pronounced.exp()
        own = heard[:, MAX_DELAY_FRAMES : MAX_DELAY_FRAMES + WINDOW_FRAMES]
        by_clip = torch.einsum("bfe,cfe->bc", seen, own) / WINDOW_FRAMES * pronounced.exp()
        others = F.cross_entropy(by_clip, torch.arange(BATCH)) + F.cross_entropy(
            by_clip.T, torch.arange(BATCH)
        )
        loss = F.cross_entropy(by_delay, right.expand(BATCH, -1)) + OTHERS_SHARE * others / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():  # the standardisation becomes part of the first layer
        network.reduce_sound.weight /= torch.from_numpy(deviation)
        network.reduce_sound.bias.sub_(network.reduce_sound.weight @ torch.from_numpy(mean))
    return network.eval()


def _start_at_components(layer: nn.Linear, rows: np.ndarray) -> None:
    """Start a layer at the principal components of its inputs (n, d), the root of their spread left: from
    random weights, some minutes of speech would teach it noise."""
    rows = rows.astype(np.float32)
    _, _, components = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    components = components[: layer.out_features]
    spread = (rows @ components.T).std(0)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(components / np.sqrt(spread * spread[0])[:, None]))
        layer.bias.zero_()


def draw_window(pair: Pair, rng: np.random.Generator) -> Pair | None:
    """A stretch of lips for WINDOW_FRAMES embeddings, and the sound around it for all delays; the lips at
    random mirrored, wider, narrower, lower or higher. None where the pair is shorter."""
    lips, hidden = pair
    seen = WINDOW_FRAMES + 2 * REACH_FRAMES
    heard = seen + 2 * MAX_DELAY_FRAMES
    room = min(len(lips), len(hidden) // 2) - heard
    if room < 0:
        return None
    first = rng.integers(room + 1)
    begin = first + MAX_DELAY_FRAMES
    moves = lips[begin : begin + seen].reshape(seen, -1, 2)
    if rng.random() < 0.5:
        moves = moves[:, MIRRORED] * [-1, 1]
    moves = moves * (rng.uniform(*STRETCH, 2) * rng.uniform(*SIZE)) + rng.normal(0, 0.1, 2)
    return moves.reshape(seen, -1).astype(np.float32), hidden[2 * first : 2 * (first + heard)].astype(
        np.float32
    )


@dataclass(frozen=True)
class Judgement:
    """One clip. told_apart: of its sound TOLD_APART frames early and late, the share that agrees less than
    its sound as it is, over the whole clip; told_by_second: over every second of it. found: share of SHIFTS
    found to within a frame. own_lag: of the clip as re-timed, frames that the lips are late."""

    clip: HeardClip
    told_apart: float
    told_by_second: float
    found: float
    own_lag: float


def judge(network: SyncNetwork, clip: HeardClip) -> Judgement:
    """The moved sounds of a clip against its own."""

    def told(frames: slice) -> float:
        rows = slice(2 * frames.start, 2 * frames.stop)
        lips, hidden = clip.own
        own = read_sync(network, lips[frames], hidden[rows]).similarity[0]
        others = [
            read_sync(network, lips[frames], clip.moved[late][1][rows]) for late in (-TOLD_APART, TOLD_APART)
        ]
        return float(np.mean([own > other.similarity[0] for other in others]))

    count = len(clip.own[0])
    size = WINDOW_FRAMES + 2 * REACH_FRAMES
    starts = range(0, count - size + 1, WINDOW_FRAMES)
    lags = {late: read_sync(network, *pair).lag.frames for late, pair in clip.moved.items()}
    return Judgement(
        clip,
        told(slice(0, count)),
        float(np.mean([told(slice(start, start + size)) for start in starts])),
        float(np.mean([abs(lag + late) <= 1 for late, lag in lags.items()])),
        read_sync(network, *clip.own).lag.frames,
    )
