"""Errors a user can fix. Each says what happened and what to do next, and exits with code 2."""

from __future__ import annotations

from typing import Self


class SonimateError(Exception):
    """Base of every user-fixable error."""

    exit_code = 2


class FileMissing(SonimateError):
    """An input file does not exist."""


class UnreadableImage(SonimateError):
    """The image cannot be decoded: truncated, or not an image."""


class ImageTooLarge(SonimateError):
    """The image has more pixels than the limit."""


class NoFaceFound(SonimateError):
    """No face was detected in the image."""


class FaceTooSmall(SonimateError):
    """The face has too few pixels to animate."""


class UnreadableAudio(SonimateError):
    """The file holds no decodable sound, or its samples are not finite."""


class UnreadableVideo(SonimateError):
    """The file holds no decodable moving picture."""


class AudioTooShort(SonimateError):
    """The recording is shorter than the shortest that can be animated (0.2 s)."""


class OutputNotWritable(SonimateError):
    """The output folder is missing, not writable, or the disk is full."""


class UnknownModel(SonimateError):
    """The model name or folder is not one that can be loaded."""


class InvalidCheckpoint(SonimateError):
    """A checkpoint's tensors do not match the architecture."""


class OptionOutOfRange(SonimateError):
    """An option's value lies outside its documented range."""


class InvalidManifest(SonimateError):
    """The table of footage is not UTF-8, or lacks a column."""


class OutdatedData(SonimateError):
    """The folder was written by an earlier version in a form that this one does not read."""


class FolderInUse(SonimateError):
    """Another run is writing the folder."""


class LibraryFailed(SonimateError):
    """A library failed on a file of footage in a way of its own; `reason` names its exception."""

    def __init__(self, error: Exception):
        super().__init__(f"{' '.join(str(error).split())}. Check that the file plays, or convert it to mp4.")
        self.reason = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


class RecordingsMissing(SonimateError):
    """Recordings of people, from which synthetic speech takes phrases, are not installed."""


class FolderOfAnotherRun(SonimateError):
    """The folder holds results that depend on other settings or data than those of this run."""


class EngineMissing(SonimateError):
    """A speech engine is not installed; the message names the package."""


class SynthesisFailed(SonimateError):
    """A speech engine did not speak the text."""


class UnknownVoice(SonimateError):
    """espeak-ng has no voice of that name; `espeak-ng --voices` lists them."""


class UnknownPhone(SonimateError):
    """A speech engine named a phone that no table holds; add it to the table in speech/phones.py."""


class TooFewClips(SonimateError):
    """The footage holds too few usable clips to train on."""


class UnusableClip(SonimateError):
    """A training clip was rejected; the message is the reason counted in the report."""


class LicencesNotAccepted(SonimateError):
    """Files were asked for whose licences the user has not accepted yet."""


class HubUnreachable(SonimateError):
    """The Hugging Face hub does not answer, or broke off."""


class HubRefused(SonimateError):
    """The hub does not hand a file over: terms not accepted, a bad token, no such repository or file."""


class DownloadCorrupted(SonimateError):
    """What arrived is not the file that was promised."""


class NonFiniteOutput(SonimateError):
    """A network computed infinities or no numbers at all; no black frame is ever written silently."""


class CompilationFailed(SonimateError):
    """torch.compile cannot compile a network here: most often a compiler is missing."""


class NotEnoughMemory(SonimateError):
    """The run would need more memory than the device has free."""


class ExtraMissing(SonimateError):
    """A command needs packages that this installation was made without."""

    @classmethod
    def of(cls, extra: str, error: ModuleNotFoundError) -> Self:
        """The error for a package of an extra. Raises `error` itself if what is missing is our own."""
        if not error.name or error.name.startswith("sonimate"):
            raise error
        package = error.name.partition(".")[0]
        return cls(f"The package {package} is not installed. {install_lines(extra)}")


def install_lines(extra: str) -> str:
    """How to install the packages of an extra, in a clone of the repository and elsewhere."""
    return (
        f"Install it by .venv/bin/pip install -e '.[{extra}]' in a clone of the repository, or by "
        f"pip install 'sonimate[{extra}]' elsewhere."
    )


class InstallationBroken(SonimateError):
    """A part of the installation that every video needs does not work."""


class ClusterUnreachable(SonimateError):
    """No Ray cluster answers at the address."""


class TrainingDiverged(SonimateError):
    """The loss is no longer a finite number."""


class StepFailed(SonimateError):
    """A command that runs several others ended, because one of these failed."""
