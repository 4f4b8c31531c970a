"""Trains the network of Sync-M on GRID and on synthetic speech, and judges it: on speakers of GRID by
networks that were trained without them and without synthetic speech (whose mouths were fitted to GRID), and
on all other sources, which no weight has seen. Clips are re-timed first; one whose mouth does not follow its
sound is listed and in no mean. --compare tells what training on the other sources too would give.

make_sync_network.py CLIPS --speech SPEECH --data DATA -o out/sync_m
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib.clips import add_landmarks
from lib.command import benchmark_parser
from lib.report import publish
from lib.sync_training import HeardClip, Judgement, Pair, fit, hear_clip, judge, synthetic_pairs
from sonimate.checkpoints.registry import SYNC_NETWORK
from sonimate.checkpoints.store import load_audio_encoder, save_network
from sonimate.errors import SonimateError, TooFewClips
from sonimate.footage.clip_reading import beginning, read_clips
from sonimate.footage.mouth_reader import ENCODER, MouthReader
from sonimate.footage.retiming import KEPT, retime_clips
from sonimate.footage.sources import find_footage, read_collections

GRID = ("github:osalinasv/lipnet", "github:rizkiarm/LipNet")
LONGEST_SECONDS = 12.0
UTTERANCES = 440


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("clips", type=Path, help="folder of real clips; its MANIFEST.tsv names their sources")
    parser.add_argument("--speech", type=Path, required=True, help="a folder of `sonimate speech`")
    parser.add_argument("--data", type=Path, required=True, help="`sonimate features` of that speech")
    parser.add_argument("--grid", nargs="+", default=GRID, help="sources that may be trained on")
    parser.add_argument("--compare", action="store_true", help="also train on all sources but one, in turn")
    parser.add_argument("-o", "--output", type=Path, default=Path("out") / SYNC_NETWORK.name)
    add_landmarks(parser)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)

    clips = hear_all(arguments.clips, arguments.landmarks)
    grid = [clip for clip in clips if clip.source in arguments.grid]
    others = [clip for clip in clips if clip.source not in arguments.grid]
    encoder = load_audio_encoder(ENCODER)
    synthetic = list(synthetic_pairs(encoder, arguments.speech, arguments.data, UTTERANCES))
    network = fit(grid, synthetic)
    save_network(arguments.output.parent, SYNC_NETWORK, network)

    rows = [row("GRID, others than", judged) for judged in across_speakers(grid)]
    rows += [row("GRID and synthetic", judge(network, clip)) for clip in others]
    if arguments.compare:
        alone = fit(grid)
        rows += [row("GRID", judge(alone, clip)) for clip in others]
        rows += [
            row("GRID, synthetic, other sources", judged)
            for judged in across_sources(grid, others, synthetic)
        ]
    publish("sync_network_clips", arguments.out, rows=rows)
    publish("sync_network", arguments.out, rows=list(groups(rows)))


def hear_all(folder: Path, landmarks: Path) -> list[HeardClip]:
    """Every clip of a folder that can be tracked, re-timed and heard."""
    read = []
    for name in (path.relative_to(folder).as_posix() for path in find_footage(folder)):
        try:
            read += read_clips(folder, [name], landmarks)
        except SonimateError as error:
            print(f"left out {name}: {error}")
    sources = read_collections(folder, [clip.name for clip in read])
    rng, encoder = np.random.default_rng(0), load_audio_encoder(ENCODER)
    retimed = retime_clips(read, sources, MouthReader.load())
    return [hear_clip(encoder, beginning(clip, LONGEST_SECONDS), sources[clip.name], rng) for clip in retimed]


def across_speakers(clips: Sequence[HeardClip]) -> Iterator[Judgement]:
    """Each clip judged by a network that was trained on other speakers: the speaker with most clips by one of
    all others, the others by one of this speaker. Raises TooFewClips."""
    speakers = [clip.clip.speaker for clip in clips]
    if len(set(speakers)) < 2:
        raise TooFewClips("Clips of at least two speakers are needed to judge speakers that are new.")
    most = max(speakers, key=speakers.count)
    halves = [[clip for clip in clips if (clip.clip.speaker == most) is one] for one in (True, False)]
    for trained, judged in (halves, halves[::-1]):
        network = fit(trained)
        yield from (judge(network, clip) for clip in judged)


def across_sources(
    grid: Sequence[HeardClip], others: Sequence[HeardClip], synthetic: Sequence[Pair]
) -> Iterator[Judgement]:
    """Each clip judged by a network that was trained on GRID, synthetic speech and all other sources."""
    for source in dict.fromkeys(clip.source for clip in others):
        used = [clip for clip in others if clip.source != source and clip.clip.retimed_by != KEPT]
        network = fit([*grid, *used], synthetic)
        yield from (judge(network, clip) for clip in others if clip.source == source)


def row(trained_on: str, judged: Judgement) -> dict[str, Any]:
    clip = judged.clip.clip
    return {
        "trained on": trained_on,
        "source": judged.clip.source,
        "speaker": clip.speaker,
        "clip": clip.name,
        "seconds": clip.seconds,
        "follows its sound": clip.retimed_by != KEPT,
        "told apart": judged.told_apart,
        "told apart by a second": judged.told_by_second,
        "found": judged.found,
        "own lag, frames": judged.own_lag,
    }


def groups(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Means over the clips of each speaker of GRID or source, and over the speakers or sources."""
    figures = ("told apart", "told apart by a second", "found")
    for trained_on in dict.fromkeys(row["trained on"] for row in rows):
        by = "speaker" if trained_on.endswith("than") else "source"
        used = [row for row in rows if row["trained on"] == trained_on and row["follows its sound"]]
        means = []
        for name in dict.fromkeys(row[by] for row in used):
            own = [row for row in used if row[by] == name]
            lags = {"median own lag, frames": float(np.median([row["own lag, frames"] for row in own]))}
            mean = {figure: float(np.mean([row[figure] for row in own])) for figure in figures} | lags
            means.append(mean)
            yield {"trained on": trained_on, "judged on": name, "clips": len(own)} | mean
        over = {figure: float(np.mean([mean[figure] for mean in means])) for figure in means[0]}
        yield {"trained on": trained_on, "judged on": f"mean of {len(means)}", "clips": len(used)} | over


if __name__ == "__main__":
    main()
