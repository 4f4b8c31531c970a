"""WebDataset shards: tar files in which the members of one key are one sample.

`clips-NNNNNN.tar` hold the accepted samples: KEY.json, KEY.landmarks.npy, KEY.mp4, KEY.wav.
`rejected-NNNNNN.tar` hold KEY.json of the others, and their landmarks if there are any, to check the reasons.
Equal samples give equal bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.errors import FileMissing, OutdatedData
from sonimate.footage.clip_id import ClipId
from sonimate.footage.sample import RESULTS_VERSION
from sonimate.media.files import replacing
from sonimate.media.wav import read_wav

CLIPS, REJECTED = "clips", "rejected"
SUFFIXES = (".json", ".landmarks.npy", ".mp4", ".wav")
REJECTED_SUFFIXES = SUFFIXES[:2]


@dataclass(frozen=True)
class ShardClip:
    """One sample of a shard; its arrays stay in the tar file until they are read."""

    key: str
    record: dict[str, Any]
    shard: Path
    members: dict[str, tuple[int, int]]
    """Suffix -> its bytes in the tar file: offset, length."""

    @property
    def clip_id(self) -> ClipId:
        return ClipId.parse(self.record["clip"])

    def read(self, suffix: str) -> bytes:
        """One of SUFFIXES."""
        return _read(self.shard, *self.members[suffix])

    def landmarks(self) -> np.ndarray:
        """float32 (n, 478, 3) px of the crop (of the source's frames, if rejected before)."""
        return np.load(io.BytesIO(self.read(".landmarks.npy")))

    def sound(self) -> np.ndarray:
        """float32 (n * 640,) at 16 kHz."""
        return read_wav(io.BytesIO(self.read(".wav"))).samples


def _read(shard: Path, offset: int, length: int) -> bytes:
    with shard.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def write_shards(out: Path, kind: str, stems: Iterable[Path], *, max_bytes: int) -> list[Path]:
    """Pack samples, in the order of `stems` (their paths without suffix), into `out`/KIND-NNNNNN.tar.

    A shard is closed before it would exceed `max_bytes`; a single larger sample gets its own. A shard appears
    under its name when complete. Shards of earlier runs are removed. Raises OutputNotWritable.
    """
    written: list[Path] = []
    suffixes = REJECTED_SUFFIXES if kind == REJECTED else SUFFIXES
    for group in _grouped(stems, suffixes, max_bytes):
        path = out / f"{kind}-{len(written):06d}.tar"
        with replacing(path) as partial, tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
            for file in group:
                member = tarfile.TarInfo(file.name)  # its owner, mode and time are always the same
                member.size = file.stat().st_size
                with file.open("rb") as content:
                    tar.addfile(member, content)
        written.append(path)
    for stale in set(out.glob(f"{kind}-*.tar")) - set(written):
        stale.unlink()
    return written


def read_shards(folder: Path, kind: str = CLIPS) -> Iterator[ShardClip]:
    """The samples of all shards of a kind, in order.

    Raises FileMissing when there is no shard at all, and OutdatedData.
    """
    if not any(folder.glob("*-*.tar")):
        raise FileMissing(f"{folder} holds no shards. Give the folder that sonimate prepare has written.")
    for shard in sorted(folder.glob(f"{kind}-*.tar")):
        with tarfile.open(shard) as tar:
            samples: dict[str, dict[str, tuple[int, int]]] = {}
            for member in tar:
                stem, _, suffix = member.name.partition(".")
                samples.setdefault(stem, {})[f".{suffix}"] = (member.offset_data, member.size)
        for key, members in samples.items():
            record = json.loads(_read(shard, *members[".json"]))
            if record.get("version") != RESULTS_VERSION:
                raise OutdatedData(
                    f"{shard} was written by an earlier version of sonimate. Run `sonimate prepare` again, "
                    "and the steps after it."
                )
            yield ShardClip(key, record, shard, members)


def _grouped(stems: Iterable[Path], suffixes: Sequence[str], max_bytes: int) -> Iterator[list[Path]]:
    """The files of consecutive samples that fit into one shard."""
    group: list[Path] = []
    size = 0
    for stem in stems:
        files = [path for suffix in suffixes if (path := stem.with_name(stem.name + suffix)).exists()]
        more = sum(path.stat().st_size for path in files)
        if group and size + more > max_bytes:
            yield group
            group, size = [], 0
        group += files
        size += more
    if group:
        yield group
