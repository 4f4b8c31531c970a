"""Errors a user can fix. Each says what happened and what to do next, and exits with code 2."""


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


class TooFewClips(SonimateError):
    """The footage holds too few usable clips to train on."""


class UnusableClip(SonimateError):
    """A training clip was rejected; the message is the reason counted in the report."""
