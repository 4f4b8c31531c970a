"""Fetch the full model's released files from the Hugging Face hub, each checked by its hash.

A file appears below the output folder only when it is whole; what is there already is not fetched again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub import errors as hub
from huggingface_hub.hf_api import RepoSibling

from sonimate.errors import (
    DownloadCorrupted,
    HubRefused,
    HubUnreachable,
    LicencesNotAccepted,
    OutputNotWritable,
    SonimateError,
)
from sonimate.media.files import require_space

UNFINISHED = ".unfinished"
"""Folder below the output folder, gone when a run ends."""

_SHA256_DIGITS = 64
_TransportError = hub.HTTPError  # pyright: ignore[reportPrivateImportUsage]
"""What the HTTP client raises, whichever one this version of huggingface_hub is built on."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A repository on the hub and what the full model takes of it.

    `name` is the folder below the output folder, and the option of `sonimate models convert`. `files` are
    looked for at the repository's root first, then in any of its folders.
    """

    name: str
    repo_id: str
    files: tuple[str, ...]
    purpose: str
    licence: str
    licence_url: str


SOURCES = (
    # First, because the hub may want this user's acceptance: better before 6 GB than after.
    Source(
        name="svd",
        repo_id="stabilityai/stable-video-diffusion-img2vid-xt",
        files=(
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "image_encoder/config.json",
            "image_encoder/model.safetensors",
            "unet/config.json",
        ),
        purpose="Stable Video Diffusion XT's autoencoder and image encoder",
        licence="Stability AI Community License (commercial use is limited)",
        licence_url="https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt/blob/main/LICENSE.md",
    ),
    Source(
        name="whisper",
        repo_id="openai/whisper-tiny",
        files=("config.json", "model.safetensors"),
        purpose="Whisper tiny, which hears the voice",
        licence="Apache License 2.0",
        licence_url="https://huggingface.co/openai/whisper-tiny",
    ),
    Source(
        name="sonic",
        repo_id="LeonJoe13/Sonic",
        files=("unet.pth", "audio2token.pth", "audio2bucket.pth", "flownet.pkl"),
        purpose="Sonic's UNet and audio networks, and RIFE",
        licence="CC BY-NC-SA 4.0 (non-commercial)",
        licence_url="https://creativecommons.org/licenses/by-nc-sa/4.0/",
    ),
)


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file on the hub. `digest`: SHA-256 of a file in large-file storage, else git's SHA-1 of the blob."""

    source: Source
    name: str
    path: str
    commit: str
    size_bytes: int
    digest: str

    def below(self, folder: Path) -> Path:
        """Where the file belongs in the output folder."""
        return folder / self.source.name / self.name

    def is_whole(self, path: Path) -> bool:
        """Whether the file at `path` is this one, by size and hash."""
        return (
            path.is_file()
            and path.stat().st_size == self.size_bytes
            and digest_of(path, len(self.digest) == _SHA256_DIGITS) == self.digest
        )


def download(
    folder: Path,
    *,
    accept_licences: bool,
    api: HfApi | None = None,
    tell: Callable[[str], object] = lambda line: print(line, file=sys.stderr),
) -> None:
    """Make `folder` hold every file of SOURCES as NAME/FILE.

    The hub's own settings hold: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE. Raises LicencesNotAccepted,
    HubUnreachable, HubRefused, DownloadCorrupted, or OutputNotWritable if the disk is too small.
    """
    if not accept_licences:
        raise LicencesNotAccepted(
            f"Nothing was downloaded. The files come under licences that bind you:\n{licences()}\n"
            "Read them, and if you accept them, run this command again with --accept-licences."
        )
    api = api or HfApi(library_name="sonimate", library_version=version("sonimate"))
    tell(f"You have accepted:\n{licences()}")
    missing: list[RemoteFile] = []
    for source in SOURCES:
        with explained(source.repo_id, api):
            missing += [file for file in find(source, api) if not file.is_whole(file.below(folder))]
    unfinished = folder / UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
    require_space(folder, sum(file.size_bytes for file in missing))
    try:
        for number, file in enumerate(missing, 1):
            tell(f"{number}/{len(missing)}: {file.name} of {file.source.repo_id}, {file.size_bytes:,} bytes")
            with explained(file.source.repo_id, api):
                fetch(file, folder, api)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    tell(f"{folder} is complete; files fetched now: {len(missing)}.")


def licences() -> str:
    """One line a source: what it is for, where it is, its licence."""
    return "\n".join(
        f"  {source.purpose} ({source.repo_id}): {source.licence}, {source.licence_url}" for source in SOURCES
    )


def convert_command(folder: Path) -> str:
    """The command line that makes a model of what `download` put into `folder`."""
    inputs = [part for source in SOURCES for part in (f"--{source.name}", str(folder / source.name))]
    return shlex.join(["sonimate", "models", "convert", *inputs, "-o", "MODEL"])


def find(source: Source, api: HfApi) -> list[RemoteFile]:
    """Where a source's files are on the hub now. Raises HubRefused, and what `explained` explains."""
    info = api.model_info(source.repo_id, files_metadata=True, timeout=constants.DEFAULT_REQUEST_TIMEOUT)
    entries = {entry.rfilename: entry for entry in info.siblings or ()}
    return [remote_file(source, name, str(info.sha), entries) for name in source.files]


def remote_file(source: Source, name: str, commit: str, entries: dict[str, RepoSibling]) -> RemoteFile:
    """The one file of that name among a repository's `entries`. Raises HubRefused."""
    paths = [path for path in entries if path == name] or [
        path for path in entries if path.endswith(f"/{name}")
    ]
    if len(paths) != 1:
        raise HubRefused(
            f"{source.repo_id} has {len(paths)} files named {name}, not one; the repository has changed. "
            f"Copy the file that fits by hand to {source.name}/{name} in the output folder."
        )
    entry = entries[paths[0]]
    digest = entry.lfs.sha256 if entry.lfs else entry.blob_id
    if entry.size is None or digest is None:
        raise HubRefused(
            f"The hub tells no size and hash of {name} in {source.repo_id}. If HF_ENDPOINT names a mirror, "
            "try without it."
        )
    return RemoteFile(
        source=source, name=name, path=paths[0], commit=commit, size_bytes=entry.size, digest=digest
    )


def fetch(file: RemoteFile, folder: Path, api: HfApi) -> None:
    """Download one file by way of UNFINISHED. Raises DownloadCorrupted, and what `explained` explains."""
    target, repo_id = file.below(folder), file.source.repo_id
    target.parent.mkdir(parents=True, exist_ok=True)
    arrived = Path(
        api.hf_hub_download(
            repo_id, file.path, revision=file.commit, local_dir=folder / UNFINISHED / file.source.name
        )
    )
    if not file.is_whole(arrived):
        raise DownloadCorrupted(
            f"{file.name} of {repo_id} arrived with another hash than the hub names ({file.digest}) and was "
            "removed. Run the command again; if it happens again, the hub or a proxy is at fault."
        )
    os.replace(arrived, target)


def digest_of(path: Path, sha256: bool) -> str:
    """A file's SHA-256, or the SHA-1 under which git stores it, in hexadecimal."""
    if sha256:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    contents = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(contents) + contents).hexdigest()


@contextmanager
def explained(repo_id: str, api: HfApi) -> Iterator[None]:
    """Let failures of the hub and of the disk within the block raise a SonimateError."""
    try:
        yield
    # RuntimeError: the hub's Xet transport. JSONDecodeError: what answers is no hub.
    except (_TransportError, OSError, RuntimeError, json.JSONDecodeError) as error:
        raise explanation(error, repo_id, str(api.endpoint)) from error


def explanation(error: Exception, repo_id: str, endpoint: str) -> SonimateError:
    """What happened and what to do next, for an error that huggingface_hub or the disk raised."""
    if isinstance(error, hub.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # which tells the hub's answer
    if isinstance(error, hub.HfHubHTTPError):
        return refusal(error, repo_id, endpoint)
    if isinstance(error, hub.OfflineModeIsEnabled):
        return HubUnreachable("HF_HUB_OFFLINE is set, so nothing can be downloaded. Unset it and try again.")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return OutputNotWritable(f"The download cannot be written ({reason}). Choose another folder.")
    return HubUnreachable(
        f"The hub at {endpoint} cannot be reached, or broke off in {repo_id} ({reason}). Check the "
        "connection and HF_ENDPOINT, and run the command again: finished files are kept."
    )


def refusal(error: hub.HfHubHTTPError, repo_id: str, endpoint: str) -> SonimateError:
    """What an HTTP error status means for the user."""
    status, page = error.response.status_code, f"{endpoint}/{repo_id}"
    if isinstance(error, hub.GatedRepoError):
        return HubRefused(
            f"{repo_id} is gated ({status}). Log in to the hub, accept its terms at {page} and make a token "
            f"that may read gated repositories at {endpoint}/settings/tokens. Pass it by `hf auth login` or "
            "in HF_TOKEN, and run the command again."
        )
    if status in (401, 403, 404):
        reason = " ".join((error.server_message or "no reason given").split())
        return HubRefused(
            f"The hub does not show {repo_id} ({status}: {reason}). If {page} opens in a browser, check the "
            "token (HF_TOKEN, or `hf auth login`); if not, the files have moved: copy them by hand as "
            "docs/full-model.md describes."
        )
    return HubUnreachable(f"The hub at {endpoint} answered {status} for {repo_id}. Try again later.")
