"""Paths to read and to write: clear errors, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from av.error import FFmpegError

from sonimate.errors import FileMissing, FileNotReadable, OutputNotWritable

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(.+)")
"""An address, also one from which Path has taken a slash; a drive of Windows has one letter."""


def require_file(path: str | Path) -> Path:
    """Return `path` as an absolute Path.

    Raises FileMissing if no file is there, FileNotReadable if its permissions do not allow to read it.
    """
    found = Path(path)
    with _read_errors(path):
        mode = found.stat().st_mode
        if stat.S_ISDIR(mode):
            raise FileMissing(f"{path} is a folder. Give the path of a file in it.")
        if stat.S_ISREG(mode):
            found.open("rb").close()
    return found.absolute()


@contextmanager
def kept_from_pipe(path: str) -> Generator[str, None, None]:
    """`path` itself; of a pipe, and of standard input, which "-" names, the path of a file with all it holds.

    Sounds are read more than once. The file is removed at the end of the block. Raises FileMissing if nothing
    comes, and OutputNotWritable if there is no room for it.
    """
    from_stdin = path == "-"
    if not from_stdin and (not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path)):
        yield path
        return
    with TemporaryDirectory(prefix="sonimate-") as folder:
        kept = Path(folder, "standard input" if from_stdin else os.path.basename(path))
        source = 0 if from_stdin else path
        with write_errors(kept), open(source, "rb", closefd=not from_stdin) as pipe, kept.open("wb") as file:
            shutil.copyfileobj(pipe, file)
        if not kept.stat().st_size:
            raise FileMissing(
                f"Nothing came through {path}. Check the program that should write the sound into the pipe."
            )
        yield str(kept)


def require_folder(path: Path) -> Path:
    """Return `path`. Raises FileMissing if no folder is there, FileNotReadable if it may not be listed."""
    with _read_errors(path):
        if not stat.S_ISDIR(path.stat().st_mode):
            raise FileMissing(f"{path} is a file. Give the path of a folder.")
        os.listdir(path)
    return path


@contextmanager
def _read_errors(path: str | Path) -> Generator[None, None, None]:
    """Turn failures of finding `path` into FileMissing, and those of reading it into FileNotReadable."""
    try:
        yield
    except PermissionError as error:
        raise not_readable(path) from error
    except OSError as error:
        if address := URL.fullmatch(str(path)):
            raise FileMissing(
                f"{address[1]}://{address[2]} is an address, not a file. Download it first, and give the "
                "path of the file."
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise FileMissing(f"{path} is longer than a name of a file can be. Check the path.") from error
        raise FileMissing(f"{path} does not exist. Check the spelling of the path.") from error


def not_readable(path: str | Path) -> FileNotReadable:
    """The error for a file that is there but may not be read."""
    return FileNotReadable(
        f"{path} may not be read: permission denied. Check the permissions of the file and of its folder, or "
        "copy it to a folder of yours."
    )


@contextmanager
def write_errors(path: Path) -> Generator[None, None, None]:
    """Turn failures of writing `path` (no such folder, no permission, full disk) into OutputNotWritable."""
    try:
        yield
    except (FFmpegError, OSError) as error:
        raise OutputNotWritable(
            f"{path} cannot be written ({error.strerror or error}). Choose a folder that exists, that you "
            "may write to, and whose disk has space left."
        ) from error


def require_writable(path: str | Path) -> Path:
    """The absolute Path of the file that `path` names, a symbolic link's target, if a file can be put there.

    A file beside it is made and removed at once, because permissions alone do not tell.
    Raises OutputNotWritable.
    """
    path = Path(os.path.realpath(path))
    if os.path.isdir(path):
        raise OutputNotWritable(f"{path} is a folder. Give the path of a file in it.")
    if not os.path.isdir(path.parent):
        raise OutputNotWritable(f"The folder {path.parent} does not exist. Create it or choose another one.")
    if not os.access(path.parent, os.W_OK):
        raise OutputNotWritable(f"The folder {path.parent} is not writable. Choose another one.")
    try:
        mode = path.lstat().st_mode  # the system refuses names that are too long
    except FileNotFoundError:
        mode = None
    except OSError as error:
        reason = f"{path} cannot be the name of a file ({error.strerror}). Choose another one."
        raise OutputNotWritable(reason) from error
    if mode is not None and not stat.S_ISREG(mode):
        raise OutputNotWritable(f"{path} is not a regular file. Choose another name.")
    partial = _partial_beside(path)
    with write_errors(path):
        partial.touch(exist_ok=False)
        partial.unlink()
    return path


def _partial_beside(path: Path) -> Path:
    """A new hidden name in the folder of `path`, short whatever the name of `path` is."""
    return path.with_name(f".{os.getpid()}-{os.urandom(4).hex()}.part")


def remove_partials(folder: Path, pid: int) -> None:
    """Remove what a process that was killed left unfinished in `folder`."""
    for partial in folder.glob(f".{pid}-*.part"):
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | Path) -> Generator[Path, None, None]:
    """Yield a hidden path beside `path` to write to; rename it to `path` on success, delete it on failure.

    A symbolic link stays, and the file it leads to is replaced. Raises OutputNotWritable if `path` is a
    folder or its folder is missing or not writable.
    """
    path = require_writable(path)
    partial = _partial_beside(path)
    try:
        with write_errors(path):
            partial.touch()
        yield partial
        with write_errors(path):
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Generator[Path, None, None]:
    """Yield a new hidden folder beside `path` to write to; on success it takes the place of `path`, with all
    that was there; on failure it is deleted. Raises OutputNotWritable."""
    partial, former = _partial_beside(path), _partial_beside(path)
    try:
        with write_errors(path):
            partial.mkdir()
        yield partial
        with write_errors(path):
            if path.exists():
                path.rename(former)
            partial.rename(path)
    finally:
        if former.exists() and not path.exists():
            former.rename(path)
        _remove(partial)
        _remove(former)


def require_space(folder: Path, size_bytes: int) -> None:
    """Raise OutputNotWritable unless the disk of `folder`, which need not exist yet, has that much room."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free_bytes = shutil.disk_usage(there).free
    if free_bytes < size_bytes:
        raise OutputNotWritable(
            f"{folder} needs room for {size_bytes / 1e9:.2f} GB, but the disk has {free_bytes / 1e9:.2f} GB. "
            "Make room or choose another folder."
        )
