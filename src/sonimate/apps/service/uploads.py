# pyright: basic
"""What clients send for a video: options, a portrait and a sound."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import File, Form, HTTPException, UploadFile
from fastapi.responses import JSONResponse
from pydantic import WithJsonSchema

from sonimate.apps.jobs.job_options import Job, job_arguments, option_schema
from sonimate.apps.service.answers import problem_answer
from sonimate.apps.service.job_crew import AUDIO, PORTRAIT
from sonimate.errors import InvalidJob

BYTES = {"type": "string", "format": "binary", "minLength": 1}
UploadedFile = Annotated[UploadFile, File(), WithJsonSchema(BYTES)]
JobOptions = Annotated[str, Form(), WithJsonSchema(option_schema(for_clients=True))]
"""JSON, as in OpenAPI the part of a form that is an object."""


def read_options(text: str, seconds: float) -> dict[str, Any]:
    """The options of a job from JSON. seconds: of sound, at most. Raises 422."""
    try:
        given = json.loads(text)
        if not isinstance(given, dict):
            raise ValueError("not an object")
        job_arguments(Job(portrait="p", audio="a", output="v", options=given), for_client=True)
        return given | {"duration": min(given.get("duration", seconds), seconds)}
    except InvalidJob as error:
        raise HTTPException(422, str(error)) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise HTTPException(422, f"options are no JSON object of options: {error}") from error


def digest_of_request(options: dict[str, Any], *uploads: UploadFile) -> str:
    """Equal for equal requests."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for upload in uploads:
        digest.update(hashlib.file_digest(cast(Any, upload.file), "sha256").digest())
        upload.file.seek(0)
    return digest.hexdigest()


def keep_uploads(folder: Path, portrait: UploadFile, audio: UploadFile) -> None:
    """Write the uploads into a new folder, under names of ours."""
    folder.mkdir()
    for name, upload in ((PORTRAIT, portrait), (AUDIO, audio)):
        with (folder / name).open("wb") as file:
            shutil.copyfileobj(upload.file, file)


def refused(error: dict[str, str]) -> JSONResponse:
    """The answer to an upload whose check ended with this error."""
    status = {"defect": 500, "job_cancelled": 503}.get(error["code"], 422)
    return problem_answer(status, error["message"], code=error["code"])
