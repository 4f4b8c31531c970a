"""Options of `sonimate prepare`, apart from its stages, so that --help states their defaults and loads no
network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """size_px: side of the clips. min_face_px: shortest face, forehead to chin, in the footage.
    shard_bytes: a shard is closed before it grows larger. retime: move each clip's sound to its mouth; False
    for footage that is known to be in sync, to fit the mouth reader on."""

    size_px: int = 512
    min_face_px: float = 96.0
    shard_bytes: int = 1_000_000_000
    retime: bool = True
