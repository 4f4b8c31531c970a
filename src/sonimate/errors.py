"""Errors a user can fix. Each says what happened and what to do next, and exits with code 2."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path


class SonimateError(Exception):
    """Base of every error that a user can fix."""

    exit_code = 2

    report: Mapping[str, object] = {}
    """What --json prints beside the error."""

    @property
    def code(self) -> str:
        """The kind of error, for programs: the name of the class in small letters, such as no_face_found."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()


# Inputs: pictures, sounds, videos, options.
class WrongUsage(SonimateError):
    """The command line is not one that a verb takes."""


class FileMissing(SonimateError):
    """An input file does not exist, or is a folder."""


class FileNotReadable(SonimateError):
    """The permissions of an input file or of its folder do not allow to read it."""


class InputsSwapped(SonimateError):
    """The sound was given in the place of the portrait, or the portrait in the place of the sound."""


class UnreadableImage(SonimateError):
    """The image cannot be decoded: it is damaged, or not an image of a known format."""


class ImageTooLarge(SonimateError):
    """The image has more pixels than the limit."""


class NoFaceFound(SonimateError):
    """No face was detected in the image."""


class FaceTooSmall(SonimateError):
    """The face has too few pixels to animate."""


class MouthNotVisible(SonimateError):
    """Something covers the mouth in the picture."""


class UnreadableAudio(SonimateError):
    """The file holds no sound that can be decoded, or samples that are not finite."""


class AudioTooShort(SonimateError):
    """The recording is shorter than the shortest that can be animated (0.2 s)."""


class UnreadableVideo(SonimateError):
    """The file holds no moving picture that can be decoded."""


class NoPersonFound(SonimateError):
    """The person in the picture cannot be told from the background."""


class OptionOutOfRange(SonimateError):
    """An option's value lies outside its documented range."""


# Outputs and folders.
class OutputNotWritable(SonimateError):
    """The output folder is missing, not writable, or the disk is full."""


class FolderInUse(SonimateError):
    """Another run is writing the folder."""


class FolderOfAnotherRun(SonimateError):
    """The folder holds results that depend on other settings or data than those of this run."""


class OutdatedData(SonimateError):
    """The folder was written by an earlier version in a form that this one does not read."""


# Models and downloads.
class UnknownModel(SonimateError):
    """The model name or folder is not one that can be loaded."""


class InvalidCheckpoint(SonimateError):
    """A checkpoint's tensors do not match the architecture."""


class LicencesNotAccepted(SonimateError):
    """The user has not yet accepted the licences of the files to download."""


class HubUnreachable(SonimateError):
    """The Hugging Face hub does not answer, or ended the connection."""


class HubRefused(SonimateError):
    """The hub refuses a file: terms not accepted, a wrong token, or no such repository or file."""


class DownloadCorrupted(SonimateError):
    """A downloaded file differs from the published one."""


class NetworkFileMissing(SonimateError):
    """A measure needs the published weights of a standard network, which the user has not downloaded."""


class MetricLeftOut(SonimateError):
    """A figure of the field that this project does not compute; the message says why."""


class WrongNetworkFile(SonimateError):
    """A file of a standard network is not the published one."""


class CertificateRefused(SonimateError):
    """The certificate or key for signing cannot be used."""


# This machine and its installation.
class ExtraMissing(SonimateError):
    """A command needs packages of an extra that is not installed."""


@contextmanager
def extra_needed(extra: str) -> Generator[None, None, None]:
    """Raise ExtraMissing where a package of this extra cannot be imported. A missing module of sonimate stays
    a ModuleNotFoundError."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "sonimate").partition(".")[0]
        if package == "sonimate":
            raise
        raise ExtraMissing(f"The package {package} is not installed. {install_lines(extra)}") from error


def install_lines(extra: str) -> str:
    """How to install the packages of an extra: a command to paste, from the clone of the repository if this
    is one."""
    clone, python = Path(__file__).parents[2], Path(sys.executable)
    if (clone / "pyproject.toml").is_file():
        program = python.relative_to(clone) if python.is_relative_to(clone) else python
        command = f"{shlex.quote(str(program))} -m pip install -e '.[{extra}]'"
        return f"Install it by: cd {shlex.quote(str(clone))} && {command}"
    return f"Install it by: {shlex.join([str(python), '-m', 'pip', 'install', *packages_of_extras()[extra]])}"


def packages_of_extras() -> dict[str, list[str]]:
    """What each extra requires, such as "diffusers>=0.42", in the metadata of this installation. Raises
    importlib.metadata.PackageNotFoundError where sonimate is not installed as a package."""
    extras: dict[str, list[str]] = {}
    for line in metadata.requires("sonimate") or []:
        if parts := re.match(r"([^;]+?)\s*;.*extra == ['\"]([\w-]+)['\"]", line):
            extras.setdefault(parts[2], []).append(parts[1])
    return extras


class AddressNotFree(SonimateError):
    """Another program listens at the address and port, or this machine has no such address."""


class InstallationBroken(SonimateError):
    """A part of the installation that every video needs does not work."""


class CompilationFailed(SonimateError):
    """torch.compile cannot compile a network on this machine: most often a compiler is missing."""


class NotEnoughMemory(SonimateError):
    """The run would need more memory than the device has free."""


class ClusterUnreachable(SonimateError):
    """No Ray cluster answers at the address."""


# Jobs: animations that worker processes make.
class InvalidJob(SonimateError):
    """A job lacks a part, or has an option that `sonimate animate` does not take or refuses."""


class JobCancelled(SonimateError):
    """The job was cancelled before its video was done."""


class TimeLimitReached(SonimateError):
    """The job took longer than its limit."""


class MemoryLimitReached(SonimateError):
    """The worker process of the job held more memory than its limit."""


class WorkerDied(SonimateError):
    """The worker process of the job ended: killed, or crashed."""


class JobsFailed(SonimateError):
    """Some jobs of a list failed; the report has the reasons."""

    exit_code = 1


# Computing and training.
class NonFiniteOutput(SonimateError):
    """A network computed NaN or infinity; such a result is never written to a video."""


class TrainingDiverged(SonimateError):
    """The loss is NaN or infinite."""


class InvalidRecipe(SonimateError):
    """A recipe of training is no YAML."""


class StepFailed(SonimateError):
    """One of the commands that a command runs failed."""


# Footage.
class InvalidManifest(SonimateError):
    """The table of footage is not UTF-8, or lacks a column."""


class UnusableClip(SonimateError):
    """A training clip was rejected; the message is the reason that the report counts."""


class TooFewClips(SonimateError):
    """The footage holds too few usable clips for training."""


class LibraryFailed(SonimateError):
    """A library failed on a file of footage in a way of its own; `reason` names its exception."""

    def __init__(self, error: Exception):
        super().__init__(f"{' '.join(str(error).split())}. Check that the file plays, or convert it to mp4.")
        self.reason = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


class ClipsSkipped(SonimateError):
    """An evaluation is written, without some videos that could not be measured."""

    exit_code = 1


# Synthetic speech.
class RecordingsMissing(SonimateError):
    """Recordings of people, from which synthetic speech takes phrases, are not installed."""


class EngineMissing(SonimateError):
    """A speech engine is not installed; the message names the package."""


class SynthesisFailed(SonimateError):
    """A speech engine did not speak the text."""


class UnknownPhone(SonimateError):
    """A speech engine named a phone that no table holds; add it to the table in speech/phones.py."""
