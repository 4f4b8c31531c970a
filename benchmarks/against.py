"""The working tree, or the commit of --to, against an earlier commit, with one interpreter and its packages:

against.py COMMIT

Time to import torch alone and SonicPipeline, start of `sonimate --help`, time and peak memory of the whole
`sonimate animate`, lines and files of src, and where the videos of some seeds differ, also with the two
fixes undone that changed every video after 77ee5c3. Both trees are run by turns, through the command line
only, each run in a process of its own.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lib.command import EXAMPLES, REPOSITORY, benchmark_parser
from lib.report import Check, publish
from sonimate.media.audio import read_audio
from sonimate.media.video import read_frames
from sonimate.media.wav import write_wav
from sonimate.types import Waveform

BEFORE, AFTER = "before", "after"
FORMER = Path(__file__).parent / "lib" / "former_behaviour.py"
"""`sonimate` with the two fixes undone that change every video since 77ee5c3."""
SEEDS = (1, 2, 3)
TORCH, TORCH_UNCOLLECTED = "import torch", "import gc; gc.disable(); import torch"
PIPELINE = "from sonimate import SonicPipeline"
HELP, ANIMATE, MEMORY = "sonimate --help, s", "sonimate animate, s", "sonimate animate, peak MB"
VISIBLE = 16
"""Grey levels. Smaller differences may come from the video's compression, which spreads each difference."""
MAX_IMPORT_RATIO = 1.15
"""Time to import SonicPipeline over that of torch alone."""
MAX_WALL_RATIO = 0.75
"""Wall time of `sonimate animate` for 2 s of sound over that of commit 77ee5c3."""


@dataclass(frozen=True)
class Tree:
    """A version of the source code. source: its folder `src`."""

    name: str
    source: Path

    def run(self, *arguments: object) -> tuple[float, str]:
        """Run Python on this source code; returns wall seconds and what it printed. Raises SystemExit."""
        environment = os.environ | {"PYTHONPATH": str(self.source)}
        line = [sys.executable, *map(str, arguments)]
        start = time.perf_counter()
        done = subprocess.run(line, env=environment, cwd=self.source, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{' '.join(line)} failed in {self.source}:\n{done.stderr}")
        return seconds, done.stdout

    def import_seconds(self, statement: str) -> float:
        """Seconds of an import statement in a new interpreter, whose own start does not count."""
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        return float(self.run("-c", code)[1])


@dataclass(frozen=True)
class Difference:
    """How far two videos differ, in grey levels of 255, over the frames that both have.

    frames: of the first and of the second video. visible_frames: how many differ by more than VISIBLE.
    rows, columns: first and last that do so in any frame; None where no frame does.
    """

    frames: tuple[int, int]
    largest: int
    mean: float
    visible_frames: int
    rows: tuple[int, int] | None
    columns: tuple[int, int] | None

    def __str__(self) -> str:
        if self.largest == 0 and self.frames[0] == self.frames[1]:
            return f"all {self.frames[0]} frames are equal"
        text = "{} and {} frames; difference at most {}, mean {:.3f}"
        text = text.format(*self.frames, self.largest, self.mean)
        if self.rows is None or self.columns is None:
            return text
        place = "rows {} to {}, columns {} to {}".format(*self.rows, *self.columns)
        return f"{text}; above {VISIBLE} in {self.visible_frames} frames, {place}"


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("commit", help="what to compare with: any name of a commit that git knows")
    parser.add_argument("--to", metavar="COMMIT", help="compare this commit; default the working tree")
    parser.add_argument("--portrait", type=Path, default=EXAMPLES / "portraits" / "astronaut_collins.jpg")
    parser.add_argument("--speech", type=Path, default=EXAMPLES / "speech" / "librivox_ss_0890.wav")
    parser.add_argument("--seconds", type=float, default=2.0, help="of speech; default 2")
    parser.add_argument("--size", type=int, default=512, help="longer side of the videos in px; default 512")
    parser.add_argument("--runs", type=int, default=6, help="of each measurement in each tree; default 6")
    arguments = parser.parse_args(argv)
    with TemporaryDirectory() as name:
        folder = Path(name)
        commit = unpack(arguments.commit, folder / "commit")
        after = unpack(arguments.to, folder / "to") if arguments.to else REPOSITORY
        trees = Tree(BEFORE, commit / "src"), Tree(AFTER, after / "src")
        sound = read_audio(arguments.speech)
        samples = sound.samples[: round(arguments.seconds * sound.rate_hz)]
        speech = write_wav(folder / "speech.wav", Waveform(samples, sound.rate_hz))
        inputs = [arguments.portrait.resolve(), speech, "--size", arguments.size]
        rows = measure_imports(trees, arguments.runs)
        rows += measure_commands(trees, inputs, folder, arguments.runs)
        sizes = {tree.name: source_size(tree.source) for tree in trees}
        for index, measure in enumerate(("files of src", "lines of src")):
            rows.append({"measure": measure} | {name: size[index] for name, size in sizes.items()})
        differences = {}
        for seed in SEEDS[: arguments.runs]:
            before = video(folder, BEFORE, seed)
            differences[f"frames of seed {seed}"] = compare_videos(before, video(folder, AFTER, seed))
            former = video(folder, "former", seed)
            trees[1].run(FORMER, "animate", *inputs, "-o", former, "--seed", seed)
            differences[f"frames of seed {seed}, two fixes undone"] = compare_videos(before, former)
    for row in rows:
        row["ratio"] = row[AFTER] / row[BEFORE]
    found = {row["measure"]: row for row in rows}
    torch_alone = (found[TORCH][BEFORE] + found[TORCH][AFTER]) / 2  # one torch, measured twice as often
    imports, wall = found[PIPELINE][AFTER] / torch_alone, found[ANIMATE]["ratio"]
    checks = [
        Check("time to import SonicPipeline over that of torch", imports, high=MAX_IMPORT_RATIO),
        Check("wall time of animate, after over before", wall, high=MAX_WALL_RATIO),
    ]
    summary = {name: str(difference) for name, difference in differences.items()}
    publish("against", arguments.out, rows=rows, summary=summary, checks=checks)


def unpack(commit: str, folder: Path) -> Path:
    """Write the source code of a commit into `folder`, and return it; the repository is only read."""
    archive = subprocess.run(["git", "-C", str(REPOSITORY), "archive", commit, "src"], capture_output=True)
    if archive.returncode:
        raise SystemExit(archive.stderr.decode())
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def measure_imports(trees: Sequence[Tree], runs: int) -> list[dict[str, Any]]:
    """Median seconds to import torch, which is the same in both trees, and SonicPipeline."""
    statements = (TORCH, TORCH_UNCOLLECTED, PIPELINE)
    seconds: dict[str, dict[str, list[float]]] = {
        statement: {tree.name: [] for tree in trees} for statement in statements
    }
    for run in range(runs + 1):
        for statement in statements:
            for tree in trees[:: 1 if run % 2 else -1]:
                elapsed = tree.import_seconds(statement)
                if run > 0:  # the first run compiles the source code
                    seconds[statement][tree.name].append(elapsed)
    return [{"measure": name, **medians(by_tree)} for name, by_tree in seconds.items()]


def measure_commands(
    trees: Sequence[Tree], inputs: Sequence[object], folder: Path, runs: int
) -> list[dict[str, Any]]:
    """Medians of the help and of `animate`, which takes SEEDS in turn; the videos stay in `folder`."""
    measures: dict[str, dict[str, list[float]]] = {
        measure: {tree.name: [] for tree in trees} for measure in (HELP, ANIMATE, MEMORY)
    }
    for run in range(runs):
        seed = SEEDS[run % len(SEEDS)]
        for tree in trees[:: 1 if run % 2 else -1]:
            measures[HELP][tree.name].append(tree.run("-m", "sonimate", "--help")[0])
            file = video(folder, tree.name, seed)
            file.unlink(missing_ok=True)  # of an earlier run: an existing file is not replaced
            output = ["-o", file, "--seed", seed, "--json"]
            seconds, printed = tree.run("-m", "sonimate", "animate", *inputs, *output)
            measures[ANIMATE][tree.name].append(seconds)
            measures[MEMORY][tree.name].append(json.loads(printed)["peak_memory_mb"])
            print(f"{tree.name}, seed {seed}: {seconds:.2f} s", flush=True)
    return [{"measure": name, **medians(by_tree)} for name, by_tree in measures.items()]


def medians(by_tree: dict[str, list[float]]) -> dict[str, float]:
    return {tree: median(values) for tree, values in by_tree.items()}


def video(folder: Path, tree: str, seed: int) -> Path:
    return folder / f"{tree}-{seed}.mp4"


def source_size(source: Path) -> tuple[int, int]:
    """Number of Python files below a folder, and of their lines."""
    paths = sorted(source.rglob("*.py"))
    return len(paths), sum(len(path.read_text().splitlines()) for path in paths)


def compare_videos(first: Path, second: Path) -> Difference:
    """Compare decoded frames. Raises ValueError when the videos have frames of different sizes."""
    counts, largest, means, visible_frames = [0, 0], 0, [], 0
    visible = np.zeros((1, 1), bool)
    for pair in zip_longest(read_frames(first, fps=None), read_frames(second, fps=None)):
        counts = [count + (frame is not None) for count, frame in zip(counts, pair, strict=True)]
        if pair[0] is None or pair[1] is None:
            continue
        difference = np.abs(pair[0].astype(int) - pair[1])
        largest = max(largest, int(difference.max()))
        means.append(difference.mean())
        seen = difference.max(2) > VISIBLE
        visible_frames += bool(seen.any())
        visible = visible | seen
    rows, columns = (np.flatnonzero(visible.any(axis)) for axis in (1, 0))
    return Difference(
        frames=(counts[0], counts[1]),
        largest=largest,
        mean=float(np.mean(means)),
        visible_frames=visible_frames,
        rows=(int(rows[0]), int(rows[-1])) if len(rows) else None,
        columns=(int(columns[0]), int(columns[-1])) if len(columns) else None,
    )


if __name__ == "__main__":
    main()
