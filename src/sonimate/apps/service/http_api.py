# pyright: basic
"""The HTTP interface of the service, with its OpenAPI document at /openapi.json."""

import asyncio
import hashlib
import hmac
import json
import shutil
import time
import uuid
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from fastapi import Depends, FastAPI, File, Form, Header, HTTPException, Request, Response, UploadFile
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, WithJsonSchema
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.routing import Match

import sonimate
from sonimate.apps.jobs.job_options import Job, job_arguments, option_schema, video_name
from sonimate.apps.service.job_crew import AUDIO, PORTRAIT, VIDEO, JobCrew
from sonimate.apps.service.job_store import ENDED, JobStore
from sonimate.apps.service.observing import Observed, log_event
from sonimate.errors import InvalidJob

SECONDS_BETWEEN_EVENTS = 0.3


@dataclass(frozen=True, kw_only=True)
class ServiceLimits:
    """upload_mb: of a request. queue: jobs that wait. per_minute: new jobs of a client. seconds: of sound
    that is used."""

    upload_mb: float = 50.0
    queue: int = 100
    per_minute: int = 60
    seconds: float = 60.0


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


class Problem(BaseModel):
    """An answer to a request that cannot be done. code: of what is wrong with the portrait or the sound."""

    detail: str | list[Any]
    code: str | None = None


JobId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
BYTES = {"type": "string", "format": "binary", "minLength": 1}
UploadedFile = Annotated[UploadFile, File(), WithJsonSchema(BYTES)]
JobOptions = Annotated[str, Form(), WithJsonSchema(option_schema(for_clients=True))]
"""JSON, as in OpenAPI the part of a form that is an object."""


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation to requests that it refuses, for the OpenAPI document."""
    return {code: {"model": Problem} for code in (*codes, 401, 503)}


@dataclass
class Clients:
    """Who may use the service, and how often. keys: secrets; without any, everyone is one client."""

    keys: list[str]
    per_minute: int
    _recent: dict[str, deque] = field(default_factory=lambda: defaultdict(deque))

    def owner(self, x_api_key: str | None) -> str:
        """The owner's name. Raises 401."""
        if not self.keys:
            return "everyone"
        given = (x_api_key or "").encode()
        if not any(hmac.compare_digest(given, key.encode()) for key in self.keys):
            raise HTTPException(401, "Send your key in the header X-API-Key.")
        return hashlib.sha256(given).hexdigest()

    def count(self, owner: str) -> None:
        """Raises 429 if the owner has made too many jobs in the last minute."""
        recent, now = self._recent[owner], time.monotonic()
        while recent and recent[0] < now - 60:
            recent.popleft()
        if len(recent) >= self.per_minute:
            raise HTTPException(429, "Too many new jobs in a minute. Wait.", headers={"Retry-After": "60"})
        recent.append(now)


def _owner(request: Request, x_api_key: Annotated[str | None, Header()] = None) -> str:
    return request.app.state.clients.owner(x_api_key)


Owner = Annotated[str, Depends(_owner)]
"""Of the request, by its API key."""


class SizeLimit:
    """Middleware that answers 413 to larger requests, whatever their headers say."""

    def __init__(self, app: Any, limit_bytes: float) -> None:
        self._app, self._limit_bytes = app, limit_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        received = 0

        async def counted() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit_bytes:
                raise HTTPException(413, "The request is larger than this service takes.")
            return message

        await self._app(scope, counted, send)


def read_options(text: str, seconds: float) -> dict[str, Any]:
    """The options of a job from JSON. seconds: of sound, at most. Raises 422."""
    try:
        given = json.loads(text)
        if not isinstance(given, dict):
            raise ValueError("not an object")
        given["duration"] = min(given.get("duration", seconds), seconds)
        job_arguments(Job(portrait="p", audio="a", output="v", options=given), for_client=True)
        return given
    except InvalidJob as error:
        raise HTTPException(422, str(error)) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise HTTPException(422, f"options are no JSON object of options: {error}") from error


def _digest(options: dict[str, Any], *uploads: UploadFile) -> str:
    """Equal for equal requests."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for upload in uploads:
        digest.update(hashlib.file_digest(cast(Any, upload.file), "sha256").digest())
        upload.file.seek(0)
    return digest.hexdigest()


def _keep(folder: Path, portrait: UploadFile, audio: UploadFile) -> None:
    """Write the uploads into a new folder, under names of ours."""
    folder.mkdir()
    for name, upload in ((PORTRAIT, portrait), (AUDIO, audio)):
        with (folder / name).open("wb") as file:
            shutil.copyfileobj(upload.file, file)


def refused(error: dict[str, str]) -> JSONResponse:
    """The answer to an upload whose check ended with this error."""
    status = {"defect": 500, "job_cancelled": 503}.get(error["code"], 422)
    return JSONResponse(Problem(detail=error["message"], code=error["code"]).model_dump(), status)


def create_app(
    store: JobStore, crew: JobCrew, folder: Path, limits: ServiceLimits, keys: list[str]
) -> FastAPI:
    """The application. folder: of the jobs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(crew.start)
        yield
        await run_in_threadpool(crew.stop)

    app = FastAPI(title="sonimate", version=sonimate.__version__, lifespan=lifespan)
    app.add_middleware(SizeLimit, limit_bytes=limits.upload_mb * 1e6)
    app.add_middleware(Observed, metrics=crew.metrics)
    clients = Clients(keys, limits.per_minute)
    app.state.clients = clients

    def shown(job: dict[str, Any]) -> AnimationJob:
        progress = JobProgressNow(stage=job["stage"], done=job["done"], total=job["total"])
        error = JobError(**json.loads(job["error"])) if job["error"] else None
        return AnimationJob(
            id=job["id"], status=job["status"], progress=progress, error=error, created=job["created"]
        )

    def same(job: dict[str, Any], request: str) -> AnimationJob:
        """The job of this request. Raises 409 if another request made it."""
        if job["request"] != request:
            raise HTTPException(409, "This Idempotency-Key was used for another request.")
        return shown(job)

    def found(job_id: str, owner: str) -> dict[str, Any]:
        job = store.get(job_id, owner)
        if job is None:
            raise HTTPException(404, "There is no such job.")
        return job

    @app.exception_handler(OperationalError)
    @app.exception_handler(NoConnectionFree)
    def no_store(_: Request, error: Exception) -> JSONResponse:
        log_event("the job store failed", error=str(error))
        answer = Problem(detail="The database of the jobs does not answer. Try again.")
        return JSONResponse(answer.model_dump(), 503, headers={"Retry-After": "10"})

    @app.exception_handler(405)
    def wrong_method(request: Request, _: Exception) -> JSONResponse:
        """Name all methods of the path: each of its routes knows only its own."""
        routes = [each for each in app.routes if each.matches(request.scope)[0] is not Match.NONE]
        methods = {method for each in routes for method in getattr(each, "methods", ())}
        answer = Problem(detail="This address has no such method.")
        return JSONResponse(answer.model_dump(), 405, headers={"Allow": ", ".join(sorted(methods))})

    @app.post(
        "/v1/animations",
        status_code=202,
        responses=problems(400, 409, 413, 422, 429),
        response_model=AnimationJob,
    )
    async def create(
        owner: Owner,
        portrait: UploadedFile,
        audio: UploadedFile,
        options: JobOptions = "{}",
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    ) -> AnimationJob | Response:
        """Queue a video. 422 where none can be made of the options and files."""
        given = read_options(options, limits.seconds)
        request = await run_in_threadpool(_digest, given, portrait, audio)
        if idempotency_key and (job := await run_in_threadpool(store.made_by, owner, idempotency_key)):
            return same(job, request)
        clients.count(owner)
        if (await run_in_threadpool(store.counts))["queued"] >= limits.queue:
            raise HTTPException(429, "The queue is full. Wait.", headers={"Retry-After": "30"})
        job_id, new = uuid.uuid4().hex, False
        try:
            await run_in_threadpool(_keep, folder / job_id, portrait, audio)
            outcome = await crew.check(job_id, given)
            if outcome.error:
                return refused(outcome.error)
            job, new = await run_in_threadpool(store.add, job_id, owner, given, request, idempotency_key)
        finally:
            if not new:
                await run_in_threadpool(shutil.rmtree, folder / job_id, ignore_errors=True)
        return same(job, request)

    @app.get("/v1/animations/{job_id}", responses=problems(404, 422))
    def status(job_id: JobId, owner: Owner) -> AnimationJob:
        """How far a job is."""
        return shown(found(job_id, owner))

    @app.post("/v1/animations/{job_id}/cancel", responses=problems(404, 422))
    def cancel(job_id: JobId, owner: Owner) -> AnimationJob:
        """Stop a job. One that has ended stays as it is."""
        found(job_id, owner)
        if store.change(job_id, only_from=("queued", "running"), status="cancelled", ended=time.time()):
            crew.cancel(job_id)
        return shown(found(job_id, owner))

    @app.delete("/v1/animations/{job_id}", status_code=204, responses=problems(404, 422))
    def remove(job_id: JobId, owner: Owner) -> Response:
        """Remove a job and its video; a job that has not ended is stopped."""
        found(job_id, owner)
        store.remove(job_id)
        crew.cancel(job_id)
        shutil.rmtree(folder / job_id, ignore_errors=True)
        return Response(status_code=204)

    @app.get(
        "/v1/animations/{job_id}/video",
        responses={**problems(404, 409, 422), 200: {"content": {"video/mp4": {}, "video/webm": {}}}},
        response_class=FileResponse,
    )
    def video(job_id: JobId, owner: Owner) -> FileResponse:
        """The video of a job that succeeded, webm with background "transparent"; 409 before that."""
        job = found(job_id, owner)
        if job["status"] != "succeeded":
            raise HTTPException(409, "The job has no video, or not yet.")
        name = video_name(VIDEO, json.loads(job["options"]))
        return FileResponse(folder / job_id / name, media_type=f"video/{name.rpartition('.')[2]}")

    @app.get(
        "/v1/animations/{job_id}/events",
        responses={**problems(404, 422), 200: {"content": {"text/event-stream": {}}}},
        response_class=StreamingResponse,
    )
    def events(job_id: JobId, owner: Owner, request: Request) -> StreamingResponse:
        """Server-sent events: the job whenever it changes, until it has ended."""
        found(job_id, owner)

        async def stream() -> AsyncIterator[str]:
            last = ""
            while not await request.is_disconnected():
                job = await run_in_threadpool(store.get, job_id, owner)
                if job is None:
                    return
                if (now := shown(job).model_dump_json()) != last:
                    yield f"data: {now}\n\n"
                    last = now
                if job["status"] in ENDED:
                    return
                await asyncio.sleep(SECONDS_BETWEEN_EVENTS)

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.get("/v1/options")
    def options() -> dict[str, Any]:
        """The JSON schema of a job's options."""
        return option_schema(for_clients=True)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The server answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        """The server reaches its database."""
        store.counts()
        return {"status": "ok"}

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """For Prometheus: jobs by status, and how long requests and jobs took."""
        for name, count in store.counts().items():
            crew.metrics.jobs.labels(name).set(count)
        return PlainTextResponse(crew.metrics.text())

    return app
