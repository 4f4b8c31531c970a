"""Raw footage -> shards of talking clips: runs the stages on each file once and keeps the results.

OUT/cache holds one folder for every finished file of footage, which appears when it is complete: a run that
was killed goes on with the other files. Its name is a digest of all that its content depends on (the file,
its speaker, the options). The cache may be deleted when the data set is final; another run then does
everything again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sonimate.footage.prepare_options import PrepareOptions
from sonimate.footage.prepare_report import Report, write_report
from sonimate.footage.prepare_stages import STAGES
from sonimate.footage.retiming import retime, retimed_sound
from sonimate.footage.sample import RESULTS_VERSION, Sample, run_stage
from sonimate.footage.shards import CLIPS, REJECTED, write_shards
from sonimate.footage.sources import find_footage, read_collections, read_speakers, read_terms
from sonimate.footage.square_crop import RAW_SOUND
from sonimate.media.files import write_errors
from sonimate.media.folders import fingerprint, locked
from sonimate.media.wav import write_wav

CACHE, RAW_RECORD = "cache", ".raw.json"


@dataclass(frozen=True)
class Source:
    """One file of footage; `name` is relative to the folder, with forward slashes."""

    name: str
    path: Path
    speaker: str

    def fingerprint(self, options: PrepareOptions) -> str:
        """Changes with the file (name, size, date), its speaker and the options that change its results."""
        stat = self.path.stat()
        file = self.name, self.speaker, stat.st_size, stat.st_mtime_ns
        return fingerprint(RESULTS_VERSION, *file, options.size_px, options.min_face_px)


Task = tuple[Source, Path]
"""A file of footage and the folder for its results, which appears when they are complete."""
Runner = Callable[[Sequence[Task], PrepareOptions], Iterator[str]]
"""Does the tasks in any order, and yields the name of each source when it is done."""


class Preparer:
    """All stages, with the networks that they need. Not safe to share between threads.

    Runs and machines agree to the last digit if torch computes on one thread, as in `sonimate prepare`: sums
    over several threads differ. Records are rounded, so that even then few of their numbers differ.
    """

    def __init__(self, options: PrepareOptions):
        self.stages = {name: build(options) for name, build in STAGES.items()}

    def __call__(self, source: Source, done: Path) -> None:
        """Write the results for a source to the folder `done`, complete or not at all.

        Raises OutputNotWritable.
        """
        if done.exists():
            return
        folder = done.with_name(f".{done.name}.{os.getpid()}")
        with write_errors(done):
            folder.mkdir(parents=True)
            first = Sample(name=source.name, source=source.path, speaker=source.speaker, folder=folder)
            samples: Iterable[Sample] = [first]
            for name, stage in self.stages.items():
                samples = run_stage(name, stage, samples)
            keys = [_finish(sample) for sample in samples]
            first.sound_file.unlink(missing_ok=True)
            (folder / "keys.json").write_text(json.dumps(keys), encoding="utf-8")
            folder.rename(done)


def _finish(sample: Sample) -> str:
    """Write the record of a sample and return its key; a rejected one keeps no picture and no sound."""
    if sample.rejection is not None:
        for suffix in (".mp4", RAW_SOUND):
            sample.path(suffix).unlink(missing_ok=True)
    sample.path(RAW_RECORD).write_text(json.dumps(sample.record(), indent=1) + "\n", encoding="utf-8")
    return sample.clip_id.key


def run_here(tasks: Sequence[Task], options: PrepareOptions) -> Iterator[str]:
    """Do one task after another in this process."""
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

    progress: called with the number of sources done, the number of all, and the name of the last one.
    Raises FileMissing when the folder holds no video, InvalidManifest, OutputNotWritable, and FolderInUse
    while another run writes to `out`.
    """
    sources = list_sources(footage, without=own_videos(footage, out))
    cache = out.absolute() / CACHE
    with locked(out):
        cache.mkdir(exist_ok=True)
        _remove(cache.glob(".*"))  # unfinished results
        tasks = [(source, cache / source.fingerprint(options)) for source in sources]
        left = [(source, folder) for source, folder in tasks if not folder.exists()]
        if left:
            for done, name in enumerate(run(left, options), start=len(tasks) - len(left) + 1):
                progress(done, len(tasks), name)
        folders = [folder for _, folder in tasks]
        _remove(set(cache.iterdir()) - set(folders))
        names = [source.name for source in sources]
        return _pack(folders, out, options, read_collections(footage, names), read_terms(footage, names))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()  # such as the .DS_Store of a file manager


def own_videos(footage: Path, out: Path) -> Path:
    """The folder of the videos that `prepare` itself has written, which are no footage."""
    return out / CACHE if footage.resolve().is_relative_to(out.resolve()) else out


def _pack(
    folders: Sequence[Path],
    out: Path,
    options: PrepareOptions,
    collections: Mapping[str, str],
    terms: Mapping[str, str],
) -> Report:
    """Write the shards and the report from the finished folders of the sources, each clip re-timed by its own
    lag or by those of its collection (which need all clips, so that no stage can do it)."""
    stems = [
        folder / key
        for folder in folders
        for key in json.loads((folder / "keys.json").read_text(encoding="utf-8"))
    ]
    raw = [json.loads(_beside(stem, RAW_RECORD).read_text(encoding="utf-8")) for stem in stems]
    known = [record | {"terms": terms[record["source"]]} for record in raw]
    records = retime(known, collections, move=options.retime)
    for stem, record in zip(stems, records, strict=True):
        _beside(stem, ".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        if not record["rejection"]:
            write_wav(_beside(stem, ".wav"), retimed_sound(_beside(stem, RAW_SOUND), record))
    for kind, wanted in ((CLIPS, True), (REJECTED, False)):
        packed = [s for s, record in zip(stems, records, strict=True) if (not record["rejection"]) == wanted]
        write_shards(out, kind, packed, max_bytes=options.shard_bytes)
    return write_report(out, records, sources=len(folders))


def _beside(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def list_sources(footage: Path, *, without: Path | None = None) -> list[Source]:
    """The videos of a folder, except those in the folder `without`, by name, with their speakers.

    Raises FileMissing when there is none, and InvalidManifest.
    """
    speakers = read_speakers(footage)
    videos = {path.relative_to(footage).as_posix(): path for path in find_footage(footage, without=without)}
    return [Source(name, path.absolute(), speakers.get(name, name)) for name, path in sorted(videos.items())]
