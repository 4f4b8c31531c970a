# pyright: basic
"""What the service answers."""

import json
from typing import Any, Literal, Self

from fastapi.responses import JSONResponse
from pydantic import BaseModel


class JobProgressNow(BaseModel):
    stage: str
    done: int
    total: int


class JobError(BaseModel):
    code: str
    message: str


class AnimationJob(BaseModel):
    """A job of the service."""

    id: str
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: JobProgressNow
    error: JobError | None = None
    created: float

    @classmethod
    def shown(cls, job: dict[str, Any]) -> Self:
        """What a client sees of a job of the store."""
        progress = JobProgressNow(stage=job["stage"], done=job["done"], total=job["total"])
        error = JobError(**json.loads(job["error"])) if job["error"] else None
        return cls(id=job["id"], status=job["status"], progress=progress, error=error, created=job["created"])


class Problem(BaseModel):
    """An answer to a request that cannot be done. code: of what is wrong with the portrait or the sound."""

    detail: str | list[Any]
    code: str | None = None


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation to requests that it refuses, for the OpenAPI document."""
    return {code: {"model": Problem} for code in (*codes, 401, 503)}


def problem_answer(status: int, detail: str, *, code: str | None = None, **headers: str) -> JSONResponse:
    """An answer in the form of `Problem`. headers: with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(Problem(detail=detail, code=code).model_dump(), status, headers=named)
