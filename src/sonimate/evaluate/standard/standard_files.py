"""The weight files of the standard networks: their names, hashes, where they are published, under which
terms.

The user downloads them into one folder. A file is read only after its SHA-256 has been compared. This module
loads no torch.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from sonimate.errors import FileMissing, NetworkFileMissing, WrongNetworkFile
from sonimate.media.files import replacing, require_file
from sonimate.media.folders import file_sha256

FOLDER_VARIABLE = "SONIMATE_NETWORKS"
RECORD = "recorded-hashes.json"
"""In the folder of the files: the hashes of those whose published hash is not known here, from their first
use."""

_log = logging.getLogger("sonimate")


@dataclass(frozen=True, kw_only=True)
class StandardFile:
    """One published file. names: what it may be called; the first is the usual name. sha256: 64 hex digits,
    or empty where no public source states the hash. measure: the figure that needs it."""

    names: tuple[str, ...]
    sha256: str = ""
    measure: str
    published: str
    licence: str


INCEPTION = StandardFile(
    names=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    measure="FID",
    published="https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights",
    licence="Apache-2.0 (TensorFlow's Inception of 2015, converted)",
)
KINETICS_I3D = StandardFile(
    names=("i3d_torchscript.pt",),
    sha256="bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
    measure="FVD",
    published="https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt (from StyleGAN-V)",
    licence="Apache-2.0 (DeepMind's I3D, converted)",
)
SYNCNET = StandardFile(
    names=("syncnet_v2.model",),
    sha256="961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
    measure="Sync-C and Sync-D",
    published="https://www.robots.ox.ac.uk/~vgg/software/lipsync/",
    licence="Creative Commons Attribution, research use (VGG's page)",
)
S3FD = StandardFile(
    names=("sfd_face.pth",),
    sha256="d54a87c2b7543b64729c9a25eafd188da15fd3f6e02f0ecec76ae1b30d86c491",
    measure="Sync-C and Sync-D",
    published="https://github.com/joonson/syncnet_python (download_model.sh)",
    licence="none stated; trained on WIDER FACE, research use",
)
FACE_RECONSTRUCTION = StandardFile(
    names=("epoch_20.pth",),
    sha256="6d17a6b23457b521801baae583cb6a58f7238fe6721fc3d65d76407460e9149b",
    measure="E-FID",
    published="https://github.com/sicxu/Deep3DFaceRecon_pytorch (README; SadTalker's release has a copy)",
    licence="MIT for the code; the Basel Face Model behind it is for research use",
)
MEAN_LANDMARKS = StandardFile(
    names=("similarity_Lm3D_all.mat",),
    measure="E-FID",
    published="https://github.com/sicxu/Deep3DFaceRecon_pytorch (folder BFM)",
    licence="MIT; derived from the Basel Face Model, research use",
)
ARCFACE = StandardFile(
    names=("arcface_backbone.pth", "backbone.pth"),
    measure="F-SIM",
    published="https://github.com/deepinsight/insightface/tree/master/recognition/arcface_torch (model zoo)",
    licence="non-commercial research use",
)
RAFT_THINGS = StandardFile(
    names=("raft-things.pth",),
    sha256="fcfa4125d6418f4de95d84aec20a3c5f4e205101715a79f193243c186ac9a7e1",
    measure="dynamic degree",
    published="https://dl.dropboxusercontent.com/s/4j4z58wuv8o0mfz/models.zip (princeton-vl/RAFT)",
    licence="BSD-3-Clause",
)
STANDARD_FILES = (
    INCEPTION,
    KINETICS_I3D,
    SYNCNET,
    S3FD,
    FACE_RECONSTRUCTION,
    MEAN_LANDMARKS,
    ARCFACE,
    RAFT_THINGS,
)


def networks_folder(folder: Path | None = None) -> Path | None:
    """The folder given, else the one that SONIMATE_NETWORKS names, else None."""
    named = os.environ.get(FOLDER_VARIABLE)
    return folder or (Path(named) if named else None)


def find_standard(file: StandardFile, folder: Path | None) -> Path:
    """The checked path of a published file in a folder.

    Where the published hash is not known here, the first use records the file's hash in the folder, and later
    uses compare with it. Raises NetworkFileMissing, or WrongNetworkFile where the hash differs.
    """
    place = networks_folder(folder)
    for candidate in [place / name for name in file.names] if place else []:
        try:
            path = require_file(candidate)
        except FileMissing:
            continue
        _compare(file, path)
        return path
    raise NetworkFileMissing(missing_text(file, place))


def found_hashes(*files: StandardFile) -> str:
    """The hashes of the user's files. Raises NetworkFileMissing, which names all that are missing, or
    WrongNetworkFile."""
    hashes: list[str] = []
    missing: list[str] = []
    for file in files:
        try:
            path = find_standard(file, None)
        except NetworkFileMissing as error:
            missing.append(str(error))
        else:
            hashes.append(file.sha256 or _recorded(path.parent)[path.name])
    if missing:
        raise NetworkFileMissing(" ".join(missing))
    return " ".join(hashes)


def missing_text(file: StandardFile, place: Path | None) -> str:
    """What a user must do to get the file."""
    where = place or f"a folder, and give that by {FOLDER_VARIABLE}=FOLDER"
    return (
        f"The file {' or '.join(file.names)}, for {file.measure}, is missing. Download it from "
        f"{file.published}, and put it in {where}. Licence: {file.licence}."
    )


def _compare(file: StandardFile, path: Path) -> None:
    digest = file_sha256(path)
    expected = file.sha256 or _recorded(path.parent).get(path.name, "")
    if not expected:
        _log.warning(
            "%s: no published hash of %s is known, so it was not checked. Its SHA-256 is %s; later runs "
            "compare with that.",
            file.measure,
            path.name,
            digest,
        )
        _record(path, digest)
    elif digest != expected:
        source = "the published file" if file.sha256 else f"the file of the first run ({RECORD})"
        raise WrongNetworkFile(
            f"{path} is not {source}: its SHA-256 is {digest}, not {expected}. Download it again from "
            f"{file.published}."
        )


def _recorded(folder: Path) -> dict[str, str]:
    path = folder / RECORD
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise WrongNetworkFile(f"{path} cannot be read ({error}). Remove it, then run again.") from error


def _record(path: Path, digest: str) -> None:
    recorded = _recorded(path.parent) | {path.name: digest}
    with replacing(path.parent / RECORD) as partial:
        partial.write_text(json.dumps(recorded, indent=1, sort_keys=True), encoding="utf-8")
