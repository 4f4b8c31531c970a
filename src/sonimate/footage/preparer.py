"""Raw footage -> shards of talking clips: the stages in their order, done once a file and kept.

OUT/cache holds one folder for every finished file of footage. It appears when complete, so that a killed run
goes on with the files that are left, and is named by all that its content depends on: the file, the options.
Once the data set is done, the cache may be deleted; another run would then do everything again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from sonimate.face.mesh import FaceMesh
from sonimate.footage.bucket_labels import label_buckets
from sonimate.footage.data_card import Report, write_report
from sonimate.footage.joint_box import add_face_box
from sonimate.footage.mouth_reader import MouthReader
from sonimate.footage.probe import probe
from sonimate.footage.quality import gate_quality
from sonimate.footage.sample import Sample, Stage
from sonimate.footage.shards import CLIPS, REJECTED, write_shards
from sonimate.footage.shots import detect_shots
from sonimate.footage.sources import find_footage, read_speakers
from sonimate.footage.square_crop import crop
from sonimate.footage.sync import gate_sync
from sonimate.footage.tracks import track_faces
from sonimate.footage.voice_activity import gate_speech
from sonimate.media.folders import fingerprint, locked

RECIPE = 4
"""To be raised when a stage gives other results than before: finished files are then done again."""
MEDIA = (".mp4", ".wav")
CACHE = "cache"


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """size_px: side of the clips. min_face_px: shortest face, forehead to chin, in the footage.
    shard_bytes: a shard is closed before it grows larger."""

    size_px: int = 512
    min_face_px: float = 96.0
    shard_bytes: int = 1 << 30


@dataclass(frozen=True)
class Source:
    """One file of footage; `name` is relative to the folder, with forward slashes."""

    name: str
    path: Path
    speaker: str

    def fingerprint(self, options: PrepareOptions) -> str:
        """Changes with the file (name, size, date), its speaker and what is done to it."""
        stat = self.path.stat()
        depends_on = (
            RECIPE,
            self.name,
            self.speaker,
            stat.st_size,
            stat.st_mtime_ns,
            options.size_px,
            options.min_face_px,
        )
        return fingerprint(*depends_on)


Task = tuple[Source, Path]
"""A file of footage and the folder that is to appear when it is finished."""
Runner = Callable[[Sequence[Task], PrepareOptions], Iterator[str]]
"""Finishes tasks in any order, and yields the name of each source as it is done."""


class Preparer:
    """All stages, with the networks they need. Not safe to share between threads."""

    def __init__(self, options: PrepareOptions):
        # Sums over threads differ in their last digits; one thread makes runs and machines agree.
        torch.set_num_threads(1)
        self.stages: tuple[Stage, ...] = (
            probe,
            detect_shots,
            partial(track_faces, mesh=FaceMesh(num_threads=1)),
            partial(gate_quality, min_face_px=options.min_face_px),
            gate_speech,
            partial(gate_sync, expect=MouthReader.load()),
            partial(crop, size_px=options.size_px),
            add_face_box,
            label_buckets,
        )

    def __call__(self, source: Source, done: Path) -> None:
        """Leave what was found of a source in the folder `done`, complete or not at all."""
        if done.exists():
            return
        folder = done.with_name(f".{done.name}.{os.getpid()}")
        folder.mkdir(parents=True)
        samples = iter([Sample(name=source.name, source=source.path, speaker=source.speaker, folder=folder)])
        for stage in self.stages:
            samples = stage(samples)
        keys = [_finish(sample) for sample in samples]
        (folder / "sound.f32").unlink(missing_ok=True)
        (folder / "keys.json").write_text(json.dumps(keys))
        folder.rename(done)


def _finish(sample: Sample) -> str:
    """Write what is known of a sample; a rejected one keeps no picture and no sound. Returns its key."""
    if sample.rejection is not None:
        for suffix in MEDIA:
            sample.path(suffix).unlink(missing_ok=True)
    sample.path(".json").write_text(json.dumps(sample.record(), indent=1) + "\n")
    return sample.clip_id.key


def run_here(tasks: Sequence[Task], options: PrepareOptions) -> Iterator[str]:
    """Do one source after another in this process."""
    preparer = Preparer(options)
    for source, done in tasks:
        preparer(source, done)
        yield source.name


def prepare(
    footage: Path,
    out: Path,
    options: PrepareOptions,
    *,
    run: Runner = run_here,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Report:
    """Prepare all videos of a folder; writes shards, report.json, report.md and distributions.png to `out`.

    progress: called with the numbers of sources done and to do, and the name of the last one.
    Raises FileMissing when the folder holds no video, InvalidManifest, OutputNotWritable, and FolderInUse
    while another run writes to `out`.
    """
    sources = list_sources(footage, without=own_videos(footage, out))
    with locked(out):
        (out / CACHE).mkdir(exist_ok=True)
        return _prepare(sources, out.absolute(), options, run, progress)


def own_videos(footage: Path, out: Path) -> Path:
    """The folder below which videos are the work of `prepare` itself, wherever `out` lies."""
    return out / CACHE if footage.resolve().is_relative_to(out.resolve()) else out


def _prepare(
    sources: Sequence[Source],
    out: Path,
    options: PrepareOptions,
    run: Runner,
    progress: Callable[[int, int, str], None],
) -> Report:
    cache = out / CACHE
    for unfinished in cache.glob(".*"):
        shutil.rmtree(unfinished)
    tasks = [(source, cache / source.fingerprint(options)) for source in sources]
    folders = [folder for _, folder in tasks]
    left = [(source, folder) for source, folder in tasks if not folder.exists()]
    done = len(sources) - len(left)
    if left:
        for name in run(left, options):
            done += 1
            progress(done, len(sources), name)
    for stale in set(cache.iterdir()) - set(folders):
        shutil.rmtree(stale)
    records = list(_records(folders))
    for kind, wanted in ((CLIPS, True), (REJECTED, False)):
        stems = (stem for stem, record in records if (record["rejection"] is None) == wanted)
        write_shards(out, kind, stems, max_bytes=options.shard_bytes)
    return write_report(out, [record for _, record in records], sources=len(sources))


def list_sources(footage: Path, *, without: Path | None = None) -> list[Source]:
    """The videos of a folder, but for those in the folder `without`, by name, with their speakers.

    Raises FileMissing when there is none, and InvalidManifest.
    """
    speakers = read_speakers(footage)
    videos = find_footage(footage, without=without)
    names = {path.relative_to(footage).as_posix(): path.absolute() for path in videos}
    return [Source(name, path, speakers.get(name, name)) for name, path in sorted(names.items())]


def _records(folders: Iterable[Path]) -> Iterator[tuple[Path, dict]]:
    """Of every sample, in order: its path without suffix and what is known of it."""
    for folder in folders:
        for key in json.loads((folder / "keys.json").read_text()):
            yield folder / key, json.loads((folder / f"{key}.json").read_text())
