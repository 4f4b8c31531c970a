"""Fetch the full model's released files from the Hugging Face hub, each checked by its hash.

A file appears in the output folder only when it is complete. A later run fetches only what is missing, and
continues a file that was interrupted.
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

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub import errors as hub
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers

from sonimate.errors import (
    DownloadCorrupted,
    HubRefused,
    HubUnreachable,
    LicencesNotAccepted,
    OutputNotWritable,
    SonimateError,
)
from sonimate.media.files import require_space
from sonimate.media.folders import LOCK, locked

UNFINISHED = ".unfinished"
"""Folder in the output folder for the parts of files that have arrived, named by the files' hashes."""

_SHA256_DIGITS = 64
_TransportError = hub.HTTPError  # pyright: ignore[reportPrivateImportUsage]
"""What the HTTP client raises, whichever one this version of huggingface_hub is built on."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository on the hub, and the files in it that the full model needs.

    name: the folder in the output folder, and the option of `sonimate models convert`. files: looked for at
    the top of the repository first, then in any of its folders.
    """

    name: str
    repo_id: str
    files: tuple[str, ...]
    purpose: str
    licence: str
    licence_url: str


SOURCES = (
    # First, because the hub may ask the user to accept its terms: better before 6 GB than after.
    Repository(
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
    Repository(
        name="whisper",
        repo_id="openai/whisper-tiny",
        files=("config.json", "model.safetensors"),
        purpose="Whisper tiny, the audio encoder",
        licence="Apache License 2.0",
        licence_url="https://huggingface.co/openai/whisper-tiny",
    ),
    Repository(
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

    source: Repository
    name: str
    path: str
    commit: str
    size_bytes: int
    digest: str

    def below(self, folder: Path) -> Path:
        """The file's path in the output folder."""
        return folder / self.source.name / self.name

    def is_complete(self, path: Path) -> bool:
        """Whether the file at `path` has this file's size and hash."""
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
    report: Callable[[str], object] = lambda line: print(line, file=sys.stderr),
) -> None:
    """Fetch every file of SOURCES into `folder`, as NAME/FILE.

    The hub's environment variables are used: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE. report: called with a
    line of text about each step. Raises LicencesNotAccepted, HubUnreachable, HubRefused, DownloadCorrupted,
    FolderInUse, or OutputNotWritable if the disk is too small.
    """
    if not accept_licences:
        raise LicencesNotAccepted(
            f"Nothing was downloaded. The files have licences that you must follow:\n{licences()}\n"
            "Read them, and if you accept them, run this command again with --accept-licences."
        )
    api = api or HfApi(library_name="sonimate", library_version=version("sonimate"))
    report(f"You have accepted:\n{licences()}")
    missing: list[RemoteFile] = []
    for source in SOURCES:
        with explained(source.repo_id, api):
            missing += [file for file in find(source, api) if not file.is_complete(file.below(folder))]
    if missing:
        with (
            explained(missing[0].source.repo_id, api),
            partial_files(folder / UNFINISHED, missing) as arrived,
        ):
            require_space(folder, sum(file.size_bytes for file in missing) - arrived)
            for number, file in enumerate(missing, 1):
                about = f"{file.name} of {file.source.repo_id}, {file.size_bytes:,} bytes"
                report(f"{number}/{len(missing)}: {about}")
                with explained(file.source.repo_id, api):
                    fetch_file(file, folder, api)
    report(f"{folder} is complete. Files fetched now: {len(missing)}.")


@contextmanager
def partial_files(folder: Path, missing: list[RemoteFile]) -> Iterator[int]:
    """Lock a folder of partial files, and yield the number of bytes in those of `missing`.

    Other files are deleted at the start, since the hub has other files now, and the folder is deleted at the
    end if it holds no part of a file. Raises FolderInUse.
    """
    with locked(folder):
        try:
            for path in folder.iterdir():
                if path.name not in {LOCK, *(file.digest for file in missing)}:
                    path.unlink()
            yield sum(path.stat().st_size for path in folder.iterdir())
        finally:
            if not any(path.stat().st_size for path in folder.iterdir()):
                shutil.rmtree(folder)


def licences() -> str:
    """A line for each source: its purpose, its repository and its licence."""
    return "\n".join(
        f"  {source.purpose} ({source.repo_id}): {source.licence}, {source.licence_url}" for source in SOURCES
    )


def convert_command(folder: Path) -> str:
    """The command line that makes a model from the files that `download` put into `folder`."""
    inputs = [part for source in SOURCES for part in (f"--{source.name}", str(folder / source.name))]
    return shlex.join(["sonimate", "models", "convert", *inputs, "-o", "MODEL"])


def find(source: Repository, api: HfApi) -> list[RemoteFile]:
    """A source's files as they are on the hub now. Raises HubRefused, and errors for `explained`."""
    info = api.model_info(source.repo_id, files_metadata=True, timeout=constants.DEFAULT_REQUEST_TIMEOUT)
    entries = {entry.rfilename: entry for entry in info.siblings or ()}
    return [remote_file(source, name, str(info.sha), entries) for name in source.files]


def remote_file(source: Repository, name: str, commit: str, entries: dict[str, RepoSibling]) -> RemoteFile:
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
            f"The hub states no size and hash of {name} in {source.repo_id}. If HF_ENDPOINT names a mirror, "
            "try without it."
        )
    return RemoteFile(
        source=source, name=name, path=paths[0], commit=commit, size_bytes=entry.size, digest=digest
    )


def fetch_file(file: RemoteFile, folder: Path, api: HfApi) -> None:
    """Download one file, from where its partial file in UNFINISHED ends.

    It uses huggingface_hub's `http_get`, since its `hf_hub_download` keeps no part of a file (version 2.4).
    Raises DownloadCorrupted, and errors that `explained` turns into others.
    """
    target, repo_id = file.below(folder), file.source.repo_id
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = folder / UNFINISHED / file.digest
    headers = build_hf_headers(
        token=api.token, library_name=api.library_name, library_version=api.library_version
    )
    with partial.open("ab") as stream:
        http_get(
            hf_hub_url(repo_id, file.path, revision=file.commit, endpoint=api.endpoint),
            stream,
            resume_size=stream.tell(),
            headers=headers,
            expected_size=file.size_bytes,
            displayed_filename=file.name,
        )
    if not file.is_complete(partial):
        partial.unlink()
        raise DownloadCorrupted(
            f"{file.name} of {repo_id} arrived with another hash than the hub states ({file.digest}) and was "
            "removed. Run the command again. If it happens again, the hub or a proxy changes the file."
        )
    os.replace(partial, target)


def digest_of(path: Path, sha256: bool) -> str:
    """A file's SHA-256, or the SHA-1 under which git stores it, in hexadecimal."""
    if sha256:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    contents = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(contents) + contents).hexdigest()


@contextmanager
def explained(repo_id: str, api: HfApi) -> Iterator[None]:
    """Turn errors of the hub and of the disk in the block into a SonimateError."""
    try:
        yield
    # JSONDecodeError: the server is no hub.
    except (_TransportError, OSError, json.JSONDecodeError) as error:
        raise explanation(error, repo_id, str(api.endpoint)) from error


def explanation(error: Exception, repo_id: str, endpoint: str) -> SonimateError:
    """What happened and what to do next, for an error that huggingface_hub or the disk raised."""
    if isinstance(error, hub.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the hub's answer
    if isinstance(error, hub.HfHubHTTPError):
        return refusal(error, repo_id, endpoint)
    if isinstance(error, hub.OfflineModeIsEnabled):
        return HubUnreachable("HF_HUB_OFFLINE is set, so nothing can be downloaded. Unset it and try again.")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return OutputNotWritable(f"The download cannot be written ({reason}). Choose another folder.")
    return HubUnreachable(
        f"The hub at {endpoint} cannot be reached, or broke off in {repo_id} ({reason}). Check the "
        "connection and HF_ENDPOINT, and run the command again: what has arrived is kept."
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
