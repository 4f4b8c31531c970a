"""Does each metric see the damage that it is there for? Real clips are damaged in one way and by growing
amounts, and every metric of this project is drawn over the amounts: means over the clips, against the clip
itself as it was. What each must do is listed, and checked for every step from no damage on.

Without clips, the examples: a portrait that the compact model animates stands for a real clip.

damage.py CLIPS --sources github:rizkiarm/LipNet --drawn 4
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import torch

from held_out import add_choice, choose
from lib.aligned_grid import sentence_of
from lib.clips import add_landmarks
from lib.command import EXAMPLES, benchmark_parser
from lib.damages import DAMAGES, Damage, Footage
from lib.plots import plot_panels
from lib.report import Check, publish
from sonimate.clock import SAMPLE_RATE_HZ, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import UnusableClip
from sonimate.evaluate import lip_metrics, own_metrics
from sonimate.evaluate.closures import CLOSING_PHONES, closure_score
from sonimate.evaluate.frechet import FeatureMoments, frechet_distance
from sonimate.evaluate.identity import FaceIdentity
from sonimate.evaluate.metric import ClipMetric
from sonimate.evaluate.own_metrics import identity_distance
from sonimate.evaluate.watching import Watched, Watcher
from sonimate.face.mesh import FaceMesh
from sonimate.face.tracking import video_landmarks
from sonimate.footage.clip_reading import read_retimed_clips, tracked
from sonimate.footage.retiming import KEPT
from sonimate.footage.sources import read_speakers
from sonimate.media.audio import read_audio
from sonimate.media.video import read_frames
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline
from sonimate.speech.recordings import Aligner
from sonimate.types import Waveform

DRAWN_PX = 384
SECONDS = 3.0
MUST: dict[tuple[str, str], str] = {
    ("mouth late", "lip-r"): "falls",
    ("mouth late", "lip-r-width"): "falls",
    ("mouth late", "lag"): "follows",
    ("mouth late", "Sync-M"): "falls",
    ("mouth late", "Sync-M-D"): "rises",
    ("mouth late", "Sync-M-lag"): "follows",
    ("mouth late", "closure-share"): "falls",
    ("mouth late", "closure-late"): "follows",
    ("opening scaled", "opening-ratio"): "follows",
    ("opening scaled", "E-FID-B"): "rises",
    ("width scaled", "width-ratio"): "follows",
    ("width scaled", "lip-dimensions"): "follows",
    ("mouth gapes", "closure-share"): "falls",
    ("mouth gapes", "E-FID-B"): "rises",
    ("frames interpolated", "cadence"): "rises",
    ("landmarks tremble", "jitter"): "rises",
    ("landmarks tremble", "lip-r"): "falls",
    ("moves in silence", "silent-motion"): "rises",
    ("sound muted", "Sync-M"): "falls",
    ("frames shuffled", "lip-r"): "falls",
    ("frames shuffled", "lip-r-width"): "falls",
    ("frames shuffled", "Sync-M"): "falls",
    ("frames shuffled", "jitter"): "rises",
    ("frames shuffled", "smooth-flow"): "falls",
    ("frozen", "lip-r"): "falls",
    ("frozen", "Sync-M"): "falls",
    ("frozen", "expression"): "falls",
    ("frozen", "head"): "falls",
    ("frozen", "brows"): "falls",
    ("frozen", "gaze"): "falls",
    ("frozen", "smooth-flow"): "rises",
    ("blurred", "ID-dlib"): "rises",
    ("identity swapped", "ID-dlib"): "rises",
    ("camera shakes", "background"): "rises",
    ("camera shakes", "smooth-flow"): "falls",
}
"""What a metric must do with more damage, to both sides of none: fall, rise, or follow the amount."""
FRAMES_SEEN = {"closure-share": 3, "closure-late": 3}
"""Delays up to which a metric can tell: with longer ones, the lips of the next phone are read."""
SLACK = 0.03
"""A step in the wrong direction by up to this share of the whole range counts as none: means of a few clips
are not exact."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__, out="out/damage")
    parser.add_argument(
        "clips", type=Path, nargs="?", help="folder of real clips; default: the examples, animated"
    )
    add_choice(parser)
    parser.add_argument("--most", type=int, default=12, help="clips to use, of different speakers first")
    parser.add_argument(
        "--drawn", type=int, default=4, help="of them, those whose pictures are damaged; 0: none"
    )
    add_landmarks(parser)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)

    watcher, identity = Watcher.load(), FaceIdentity()
    clips = list(read(arguments) if arguments.clips else examples(arguments.out))
    print(f"{len(clips)} clips: {', '.join(clip.name for clip in clips)}", flush=True)
    curves: dict[str, dict[str, list[float]]] = {}
    done = [damage for damage in DAMAGES if arguments.drawn or not damage.pictures]
    for damage in done:
        used = clips[: arguments.drawn] if damage.pictures else clips
        curves[damage.name] = measure(damage, used, watcher, identity)
        print(damage.name, flush=True)
        draw(arguments.out, damage, curves[damage.name])
    rows = [
        {"damage": damage.name, "amount": amount}
        | {name: values[at] for name, values in curves[damage.name].items()}
        for damage in done
        for at, amount in enumerate(damage.amounts)
    ]
    publish("damage", arguments.out, rows=rows, checks=list(checks(curves)))


@dataclass(frozen=True)
class NamedFootage:
    """closures: (start, end) in s of each /p/, /b/ and /m/; none where the words are unknown."""

    name: str
    footage: Footage
    closures: list[tuple[float, float]]


def read(arguments: argparse.Namespace) -> Iterator[NamedFootage]:
    """Re-timed real clips whose mouths follow their sounds, one of each speaker before a second of any."""
    names = choose(arguments)
    speakers, seen = read_speakers(arguments.clips), Counter()
    turns = {}
    for name in names:
        seen[speakers.get(name, name)] += 1
        turns[name] = seen[speakers.get(name, name)]
    chosen = sorted(names, key=lambda name: turns[name])[: arguments.most]
    clips = read_retimed_clips(arguments.clips, chosen, arguments.landmarks)
    loaded = [
        load(
            clip.name,
            arguments.clips / clip.name,
            clip.waveform.samples,
            tracked(arguments.clips / clip.name, FaceMesh(num_threads=1), arguments.landmarks),
        )
        for clip in clips
        if clip.retimed_by != KEPT
    ]
    yield from with_strangers(loaded)


def examples(out: Path) -> Iterator[NamedFootage]:
    """The example portraits, animated by the example speech: stands in where there are no real clips."""
    pipeline = SonicPipeline.from_pretrained("compact")
    out.mkdir(parents=True, exist_ok=True)
    loaded = []
    pairs = zip(
        sorted((EXAMPLES / "portraits").glob("*.jpg")),
        cycle(sorted((EXAMPLES / "speech").glob("*.wav"))),
        strict=False,
    )
    for portrait, speech in pairs:
        samples = read_audio(speech).samples[: round(SECONDS * SAMPLE_RATE_HZ)]
        sound = write_wav(out / f"{portrait.stem}.wav", Waveform(samples, SAMPLE_RATE_HZ))
        video = pipeline.animate(portrait, sound, size=DRAWN_PX).save(out / f"{portrait.stem}.mp4")
        loaded.append(load(portrait.stem, video, samples, video_landmarks(video, FaceMesh(num_threads=1))))
    yield from with_strangers(loaded)


def load(name: str, video: Path, samples: np.ndarray, landmarks: np.ndarray) -> NamedFootage:
    """The first SECONDS of a clip, its longer side at most DRAWN_PX, as it is its own stranger."""
    count = min(round(SECONDS * VIDEO_FPS), len(landmarks), len(samples) // SAMPLES_PER_VIDEO_FRAME)
    frames = np.stack(list(islice(read_frames(video, fps=VIDEO_FPS), count)))
    scale = min(DRAWN_PX / max(frames.shape[1:3]), 1.0)
    size = round(frames.shape[2] * scale), round(frames.shape[1] * scale)
    frames = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
    sound = samples[: count * SAMPLES_PER_VIDEO_FRAME]
    footage = Footage(frames, landmarks[:count] * np.float32(scale), sound, frames)
    return NamedFootage(name, footage, closures_of(name, sound))


def closures_of(name: str, samples: np.ndarray) -> list[tuple[float, float]]:
    """Where the sound of a clip of GRID, whose name spells its words, has a /p/, /b/ or /m/."""
    sentence = sentence_of(Path(name).stem)
    if sentence is None:
        return []
    try:
        phones = Aligner().align(Waveform(samples, SAMPLE_RATE_HZ), sentence, "en")
    except UnusableClip:
        return []
    return [(phone.start_seconds, phone.end_seconds) for phone in phones if phone.symbol in CLOSING_PHONES]


def with_strangers(clips: Sequence[NamedFootage]) -> Iterator[NamedFootage]:
    """Each clip with the next one's frames, at its own size and length, as another person's."""
    for clip, other in zip(clips, [*clips[1:], *clips[:1]], strict=True):
        count, height, width = clip.footage.frames.shape[:3]
        lent = [cv2.resize(frame, (width, height)) for frame in other.footage.frames]
        stranger = np.stack([lent[at % len(lent)] for at in range(count)])
        yield replace(clip, footage=replace(clip.footage, stranger=stranger))


def look(watcher: Watcher, clip: Footage, *, pictures: bool) -> Watched:
    if pictures:
        return watcher.watch_frames(lambda: iter(clip.frames), clip.samples)
    return watcher.watch_landmarks(clip.landmarks, clip.samples)


def measure(
    damage: Damage, clips: Sequence[NamedFootage], watcher: Watcher, identity: FaceIdentity
) -> dict[str, list[float]]:
    """The mean of every metric over the clips at every amount."""
    values: dict[str, list[list[float]]] = defaultdict(lambda: [[] for _ in damage.amounts])
    scores: list[list[np.ndarray]] = [[] for _ in damage.amounts]
    originals: list[np.ndarray] = []
    for number, clip in enumerate(clips):
        real = look(watcher, clip.footage, pictures=damage.pictures)
        originals.append(real.blendshapes)
        who = identity.of_video(clip.footage.frames)
        for at, amount in enumerate(damage.amounts):
            damaged = damage.apply(clip.footage, amount, np.random.default_rng(number))
            seen = look(watcher, damaged, pictures=damage.pictures)
            scores[at].append(seen.blendshapes)
            for metric in lip_metrics.METRICS:
                values[metric.name][at].append(metric.score(seen.shapes, real.shapes))
            if damage.pictures:
                distance = identity_distance(identity.of_video(damaged.frames), who)
                values["ID-dlib"][at].append(distance)
            for metric in own_metrics.METRICS:
                if isinstance(metric, ClipMetric) and metric.detector is own_metrics.WATCHED:
                    values[metric.name][at].append(metric.score(seen, real))
            closed = closure_score(seen.shapes.opening, clip.closures)
            values["closure-share"][at].append(closed.share_shut)
            values["closure-late"][at].append(closed.late_ms)
    means = {name: [mean(some) for some in by_amount] for name, by_amount in values.items()}
    before = FeatureMoments.of(np.concatenate(originals))
    damaged_scores = [FeatureMoments.of(np.concatenate(some)) for some in scores]
    return means | {"E-FID-B": [frechet_distance(some, before) for some in damaged_scores]}


def mean(values: Sequence[float]) -> float:
    """Of those that are not NaN."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def checks(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> Iterator[Check]:
    """For each line of MUST: the share of steps away from no damage that go the right way."""
    damages = {damage.name: damage for damage in DAMAGES if damage.name in curves}
    for (name, metric), must in MUST.items():
        if name not in damages:
            continue
        values = np.array(curves[name][metric])
        if np.isnan(values).all():  # such as closures of sounds whose words are unknown
            continue
        amounts = np.array(damages[name].amounts)
        seen = np.abs(amounts) <= FRAMES_SEEN.get(metric, math.inf)
        share = right_steps(amounts[seen] - damages[name].none, values[seen], must)
        yield Check(f"{metric} {must} with {name}: share of steps", share, low=1.0)


def right_steps(amounts: np.ndarray, values: np.ndarray, must: str) -> float:
    """Share of the steps in which values (n,) fall, rise or follow the amounts (n,) as they must; amounts
    rise, and 0 is no damage."""
    steps = np.diff(values)
    if must in ("rises", "falls"):
        away = amounts[1:] > 0  # steps before it lead towards no damage
        steps = np.where(away, steps, -steps) * (1 if must == "rises" else -1)
    return float(np.mean(steps > -SLACK * np.ptp(values))) if np.ptp(values) > 0 else 0.0


def draw(out: Path, damage: Damage, curves: Mapping[str, Sequence[float]]) -> None:
    """One panel for each metric that the damage must move."""
    panels = {
        f"{metric} {must}": {damage.name: (damage.amounts, curves[metric])}
        for (name, metric), must in MUST.items()
        if name == damage.name and not np.isnan(curves[metric]).all()
    }
    plot_panels(
        out / f"damage_{damage.name.replace(' ', '_')}.png", panels, x_label=f"{damage.name}, {damage.label}"
    )


if __name__ == "__main__":
    main()
