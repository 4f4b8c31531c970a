"""On a Ray cluster, the same shards as in one process. The cluster is this machine with two workers."""

import hashlib
from functools import partial
from pathlib import Path

import pytest
import torch
from footage import OPTIONS, make_footage

from sonimate.distributed import prepare_ray
from sonimate.errors import ClusterUnreachable
from sonimate.footage.preparer import list_sources, prepare

# Ray sets its own deprecated options as it starts.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    make_footage(folder)
    return folder


def digests(out: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.tar"))]


@pytest.mark.slow
def test_two_workers_write_the_same_shards(footage, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the command does, and as the workers are started
    try:
        prepare(footage, tmp_path / "here", OPTIONS)
    finally:
        torch.set_num_threads(threads)
    names = []
    prepare(
        footage,
        tmp_path / "ray",
        OPTIONS,
        run=partial(prepare_ray.run_on_ray, address="local", workers=2),
        progress=lambda done, total, name: names.append(name),
    )
    assert sorted(names) == ["brief.mp4", "mute.mp4", "still.mp4", "torn.mp4", "two.mp4"]
    assert len(digests(tmp_path / "here")) == 2
    assert digests(tmp_path / "ray") == digests(tmp_path / "here")


def test_a_worker_leaves_finished_files_where_the_driver_expects_them(footage, tmp_path):
    """Machines may see other dates on shared storage: only the driver's fingerprint counts."""
    brief = next(source for source in list_sources(footage) if source.name == "brief.mp4")
    worker = prepare_ray._Worker(OPTIONS)
    done = tmp_path / "by the driver"
    row = {"name": brief.name, "path": str(brief.path), "speaker": brief.speaker, "done": str(done)}
    assert worker(row) == {"name": "brief.mp4"}
    assert list(tmp_path.iterdir()) == [done]
    assert (done / "keys.json").exists()


def test_a_cluster_that_does_not_answer_is_named(footage, tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("refused")

    monkeypatch.setattr(prepare_ray.ray, "init", refuse)
    run = partial(prepare_ray.run_on_ray, address="10.0.0.1:6379")
    with pytest.raises(ClusterUnreachable, match=r"10\.0\.0\.1:6379.*ray start"):
        prepare(footage, tmp_path, OPTIONS, run=run)


def test_what_is_no_address_is_named(footage, tmp_path):
    run = partial(prepare_ray.run_on_ray, address="nonsense")
    with pytest.raises(ClusterUnreachable, match=r"at nonsense .*--ray local"):
        prepare(footage, tmp_path, OPTIONS, run=run)
