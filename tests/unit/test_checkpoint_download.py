"""Downloading the released files, from a hub on localhost."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from fake_hub import FakeHub, contents, fake_hub
from huggingface_hub import HfApi, constants

from sonimate.checkpoints.download import SOURCES, UNFINISHED, convert_command, digest_of, download
from sonimate.errors import DownloadCorrupted, FolderInUse, HubRefused, HubUnreachable, OutputNotWritable
from sonimate.media.files import require_space
from sonimate.media.folders import locked

EVERY_FILE = {f"{source.name}/{name}" for source in SOURCES for name in source.files}
SVD, WHISPER, SONIC = (source.repo_id for source in SOURCES)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    monkeypatch.setenv("NO_PROXY", "*")
    # It would ask the real hub how programs that call it are named.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub_cache"))
    # Only complete chunks survive a dropped connection; the files here are smaller than the 10 MB of one.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    with fake_hub() as served:
        yield served
        huggingface_hub.close_session()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files" / "full"


def fetch(hub: FakeHub, folder: Path, token: str | bool = False) -> list[str]:
    """The lines that were reported."""
    lines: list[str] = []
    download(folder, accept_licences=True, api=HfApi(hub.url, token=token), report=lines.append)
    return lines


def found(folder: Path) -> set[str]:
    """Complete files."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {path.as_posix() for path in paths if path.parts[0] != UNFINISHED}


def test_every_file_arrives_complete_where_convert_looks(hub: FakeHub, folder: Path) -> None:
    lines = fetch(hub, folder, token="hf_secret")
    assert found(folder) == EVERY_FILE
    for source in SOURCES:
        assert source.licence_url in lines[0]
        for name in source.files:
            assert (folder / source.name / name).read_bytes() == contents(source.name, name)
    assert {r.token for r in hub.requests if r.path.startswith("/storage/")} == {None}
    assert {r.token for r in hub.requests if not r.path.startswith("/storage/")} == {"Bearer hf_secret"}
    assert len(hub.transfers()) == len(EVERY_FILE)
    assert all(f"--{source.name} {folder / source.name}" in convert_command(folder) for source in SOURCES)


def test_a_second_run_transfers_what_is_not_the_hubs_file(hub: FakeHub, folder: Path) -> None:
    fetch(hub, folder)
    hub.transfers()
    assert fetch(hub, folder)[-1].endswith("fetched now: 0.")
    assert hub.transfers() == []
    for name in ("sonic/unet.pth", "svd/vae/config.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-1] + b"?")
        fetch(hub, folder)
        assert (folder / name).read_bytes() == whole
        ((path, _),) = hub.transfers()
        assert path.endswith(name.partition("/")[2])


def test_a_dropped_connection_is_continued_where_it_broke(hub: FakeHub, folder: Path) -> None:
    hub.cuts["Sonic/unet.pth"] = [5000]
    fetch(hub, folder)
    assert (folder / "sonic/unet.pth").read_bytes() == contents("sonic", "unet.pth")
    # Four complete chunks of 1024 bytes had arrived.
    assert [first for path, first in hub.transfers() if path.endswith("unet.pth")] == [0, 4096]


def interrupt(hub: FakeHub, folder: Path) -> set[str]:
    """Run until the connection drops for good within unet.pth; returns the files that are complete."""
    hub.cuts["Sonic/unet.pth"] = [5000] + [0] * 5
    with pytest.raises(HubUnreachable, match=rf"broke off in {SONIC} .* what has arrived is kept"):
        fetch(hub, folder)
    hub.transfers()
    return {name for name in EVERY_FILE if not name.startswith("sonic")}


def test_an_interrupted_run_is_continued_where_it_stopped(hub: FakeHub, folder: Path) -> None:
    """Four complete chunks of 1024 bytes had arrived: the next run asks for the others alone."""
    finished = interrupt(hub, folder)
    assert found(folder) == finished
    fetch(hub, folder)
    assert found(folder) == EVERY_FILE
    assert (folder / "sonic/unet.pth").read_bytes() == contents("sonic", "unet.pth")
    transfers = hub.transfers()
    assert len(transfers) == len(EVERY_FILE - finished)
    assert [first for path, first in transfers if path.endswith("unet.pth")] == [4096]
    assert not (folder / UNFINISHED).exists()


def test_a_part_of_a_file_that_the_hub_has_replaced_is_not_continued(hub: FakeHub, folder: Path) -> None:
    interrupt(hub, folder)
    new = contents("sonic", "another")
    hub.repos[SONIC]["Sonic/unet.pth"] = new
    fetch(hub, folder)
    assert (folder / "sonic/unet.pth").read_bytes() == new
    assert [first for path, first in hub.transfers() if path.endswith("unet.pth")] == [0]


def test_a_damaged_part_is_removed_so_that_the_next_run_succeeds(hub: FakeHub, folder: Path) -> None:
    interrupt(hub, folder)
    (part,) = [path for path in (folder / UNFINISHED).iterdir() if path.stat().st_size]
    part.write_bytes(b"?" * part.stat().st_size)
    with pytest.raises(DownloadCorrupted, match=r"unet\.pth of .* another hash"):
        fetch(hub, folder)
    fetch(hub, folder)
    assert found(folder) == EVERY_FILE


def test_one_run_at_a_time_writes_a_folder(hub: FakeHub, folder: Path) -> None:
    with locked(folder / UNFINISHED), pytest.raises(FolderInUse):
        fetch(hub, folder)


@pytest.mark.parametrize(
    ("path", "local"), [("RIFE/flownet.pkl", "sonic/flownet.pkl"), ("vae/config.json", "svd/vae/config.json")]
)
def test_a_wrong_hash_is_refused_by_name(hub: FakeHub, folder: Path, path: str, local: str) -> None:
    source, _, name = local.partition("/")
    hub.damaged[path] = contents(source, name)[:-1] + b"?"
    with pytest.raises(DownloadCorrupted, match=f"{name} of .* another hash"):
        fetch(hub, folder)
    assert local not in found(folder)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((401, "GatedRepo", "Access is restricted. You must be authenticated."), "is gated .*hf auth login"),
        ((403, "GatedRepo", "You are not in the authorized list."), "is gated .*accept its terms at "),
        ((403, "", "Please enable gated repositories for this token."), r"\(403: Please enable .*token"),
        ((401, "", "Invalid credentials in Authorization header"), r"\(401: Invalid credentials .*HF_TOKEN"),
    ],
)
def test_a_refused_repository_says_what_to_do(
    hub: FakeHub, folder: Path, refusal: tuple[int, str, str], message: str
) -> None:
    hub.refusal[SVD] = refusal
    with pytest.raises(HubRefused, match=f"{SVD} {message}") as caught:
        fetch(hub, folder)
    assert "\n" not in str(caught.value)
    assert not any("storage" in path for path, _ in hub.transfers())
    assert found(folder) == set()


def test_a_missing_repository(hub: FakeHub, folder: Path) -> None:
    del hub.repos[SONIC]
    with pytest.raises(
        HubRefused, match=rf"not show {SONIC} \(404: Repository not found\).*copy them by hand"
    ):
        fetch(hub, folder)
    assert hub.transfers() == []
    assert not folder.exists()


def test_a_file_must_be_there_once(hub: FakeHub, folder: Path) -> None:
    hub.repos[SONIC]["old/unet.pth"] = b"another"
    with pytest.raises(HubRefused, match=r"has 2 files named unet\.pth"):
        fetch(hub, folder)
    hub.repos[SONIC] = {}
    with pytest.raises(HubRefused, match=r"has 0 files named unet\.pth"):
        fetch(hub, folder)


def test_a_broken_server(hub: FakeHub, folder: Path) -> None:
    hub.refusal[SVD] = (500, "", "")
    with pytest.raises(HubUnreachable, match=f"answered 500 for {SVD}"):
        fetch(hub, folder)


def test_a_server_that_is_no_hub(hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise json.JSONDecodeError("no JSON", "<html>", 0)

    monkeypatch.setattr(HfApi, "model_info", fail)
    with pytest.raises(HubUnreachable, match=r"\(no JSON.*\)\. Check the connection"):
        fetch(hub, folder)


def test_too_small_a_disk_is_refused_before_any_transfer(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size_bytes = sum(len(contents(*name.split("/", 1))) for name in EVERY_FILE)
    disk = shutil.disk_usage(folder.parent.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk._replace(free=size_bytes - 1))
    with pytest.raises(OutputNotWritable, match=r"full needs room for 0\.00 GB"):
        fetch(hub, folder)
    assert hub.transfers() == []


def test_a_part_that_has_arrived_needs_no_room_again(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = interrupt(hub, folder)
    left = sum(len(contents(*name.split("/", 1))) for name in EVERY_FILE - finished) - 4096
    disk = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk._replace(free=left))
    fetch(hub, folder)
    assert found(folder) == EVERY_FILE


def test_an_output_folder_that_cannot_be(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputNotWritable, match="file/full"):
        fetch(hub, tmp_path / "file/full")


def test_space_is_asked_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    require_space(tmp_path / "a/b", 1)
    with pytest.raises(OutputNotWritable, match=r"1000000000\.00 GB"):
        require_space(tmp_path / "a/b", 10**18)


def test_digests_are_those_of_other_tools(tmp_path: Path) -> None:
    """SHA-256 of "abc" as in FIPS 180-2, B.1; the other is git's name of the same blob."""
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert digest_of(path, True) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    named = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    assert digest_of(path, False) == named.stdout.strip()
