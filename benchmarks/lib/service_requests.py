"""Hooks of schemathesis: right requests for videos carry a portrait and speech."""

from __future__ import annotations

import wave
from io import BytesIO
from typing import Any

import schemathesis
from PIL import Image

from service_load import PORTRAIT, SOUND

with Image.open(BytesIO(PORTRAIT)) as picture, BytesIO() as file:
    picture.reduce(4).save(file, "JPEG")
    SMALL_PORTRAIT = file.getvalue()
with wave.open(BytesIO(SOUND)) as sound, BytesIO() as file:
    with wave.open(file, "wb") as short:
        short.setparams(sound.getparams())
        short.writeframes(sound.readframes(sound.getframerate() // 2))
    HALF_A_SECOND = file.getvalue()
FILES = {"portrait": SMALL_PORTRAIT, "audio": HALF_A_SECOND}


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case, __: dict[str, Any]) -> None:
    """Replace the files of a request for a video, unless it is meant to be wrong."""
    meant_well = case.meta is not None and case.meta.generation.mode.is_positive
    body: Any = case.body
    if meant_well and isinstance(body, dict):
        body.update({name: FILES[name] for name in FILES if name in body})
