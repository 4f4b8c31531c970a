"""Features belong to the clips that are in the shards now, not to earlier ones."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from sonimate.features import latents
from sonimate.features.latents import RECORD, FrozenNetworks, LatentClip, read_latents, write_latents
from sonimate.footage.clip_id import ClipId
from sonimate.footage.sample import RESULTS_VERSION
from sonimate.footage.shards import ShardClip

CPU = torch.device("cpu")


class Frozen:
    """Replaces the networks: the features are the number of the speaker."""

    def features(self, clip: ShardClip, size_px: int | None) -> dict[str, np.ndarray]:
        return {".image.npy": np.full((1, 1), clip.record["speaker"], np.float16)}


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    monkeypatch.setattr(FrozenNetworks, "load", lambda *_: Frozen())


def write_clips(folder: Path, *speakers: int) -> None:
    """One shard of one clip for every speaker, all with the same names as before."""
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.tar"):
        stale.unlink()
    for index, speaker in enumerate(speakers):
        with tarfile.open(folder / f"clips-{index:06d}.tar", "w") as tar:
            for suffix in latents.KEPT:
                content = json.dumps(
                    {
                        "version": RESULTS_VERSION,
                        "clip": str(ClipId(f"clip{index}")),
                        "speaker": speaker,
                        "buckets": {"head": 1.0, "expression": 1.0},
                    }
                ).encode()
                member = tarfile.TarInfo(f"clip{index}{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def write(folder: Path) -> int:
    return write_latents(folder / "shards", folder / "data", folder / "model", device=CPU, size_px=None)


def contents(clips: list[LatentClip]) -> list[tuple[int, float]]:
    """Of every clip: its speaker, and the value of its features."""
    return [(int(clip.speaker), float(clip.image[0, 0])) for clip in clips]


def test_features_of_changed_shards_alone_are_computed_again(tmp_path):
    write_clips(tmp_path / "shards", 1, 2)
    assert write(tmp_path) == 2
    assert write(tmp_path) == 0
    write_clips(tmp_path / "shards", 1, 3)
    assert write(tmp_path) == 1
    assert contents(read_latents(tmp_path / "data", tmp_path / "model")) == [(1, 1), (3, 3)]


def test_features_of_removed_shards_are_removed(tmp_path):
    write_clips(tmp_path / "shards", 1, 2)
    write(tmp_path)
    write_clips(tmp_path / "shards", 1)
    assert write(tmp_path) == 0
    assert contents(read_latents(tmp_path / "data", tmp_path / "model")) == [(1, 1)]


def test_features_without_a_record_of_their_clips_are_computed_again(tmp_path):
    """As earlier versions wrote them: training can use them, but their clips may have changed."""
    write_clips(tmp_path / "shards", 1)
    write(tmp_path)
    about = json.loads((tmp_path / "data" / RECORD).read_text())
    del about["shards"]
    (tmp_path / "data" / RECORD).write_text(json.dumps(about))
    assert contents(read_latents(tmp_path / "data", tmp_path / "model")) == [(1, 1)]
    assert write(tmp_path) == 1


def test_a_stopped_run_continues_with_the_shards_that_are_left(tmp_path, monkeypatch):
    write_clips(tmp_path / "shards", 1, 2)

    def stop(self: Frozen, clip: ShardClip, size_px: int | None) -> dict[str, np.ndarray]:
        if clip.record["speaker"] == 2:
            raise KeyboardInterrupt
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(Frozen, "features", stop)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path)
    assert [path.name for path in (tmp_path / "data").glob("*.tar")] == ["latents-000000.tar"]
    assert write(tmp_path) == 1
