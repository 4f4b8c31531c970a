# pyright: basic
"""The jobs of clients: making, watching, fetching, cancelling and removing them."""

import asyncio
import json
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, StreamingResponse

from sonimate.apps.jobs.job_options import video_name
from sonimate.apps.service.access import Here, Owner
from sonimate.apps.service.answers import AnimationJob, problems
from sonimate.apps.service.job_crew import VIDEO
from sonimate.apps.service.job_store import ENDED
from sonimate.apps.service.uploads import (
    JobOptions,
    UploadedFile,
    digest_of_request,
    keep_uploads,
    read_options,
    refused,
)

SECONDS_BETWEEN_EVENTS = 0.3
ANIMATIONS = APIRouter(prefix="/v1/animations")
JobId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]


@ANIMATIONS.post(
    "",
    status_code=202,
    responses=problems(400, 409, 413, 422, 429),
    response_model=AnimationJob,
)
async def create_animation(
    here: Here,
    owner: Owner,
    portrait: UploadedFile,
    audio: UploadedFile,
    options: JobOptions = "{}",
    idempotency_key: Annotated[str, Header(pattern="^[ -~]+$", max_length=255)] = "",
) -> AnimationJob | Response:
    """Queue a video. 422 where none can be made of the options and files."""
    given = read_options(options, here.limits.seconds)
    request = await run_in_threadpool(digest_of_request, given, portrait, audio)
    if idempotency_key and (job := await run_in_threadpool(here.store.made_by, owner, idempotency_key)):
        return _same(job, request)
    here.clients.count(owner)
    if (await run_in_threadpool(here.store.counts))["queued"] >= here.limits.queue:
        raise HTTPException(429, "The queue is full. Wait.", headers={"Retry-After": "30"})
    job_id, new = uuid.uuid4().hex, False
    try:
        await run_in_threadpool(keep_uploads, here.folder / job_id, portrait, audio)
        outcome = await here.crew.check(job_id, given)
        if outcome.error:
            return refused(outcome.error)
        job, new = await run_in_threadpool(
            here.store.add, job_id, owner, given, request, idempotency_key or None
        )
    finally:
        if not new:
            await run_in_threadpool(shutil.rmtree, here.folder / job_id, ignore_errors=True)
    return _same(job, request)


@ANIMATIONS.get("/{job_id}", responses=problems(404, 422))
def show_animation(here: Here, job_id: JobId, owner: Owner) -> AnimationJob:
    """How far a job is."""
    return AnimationJob.shown(here.job(job_id, owner))


@ANIMATIONS.post("/{job_id}/cancel", responses=problems(404, 422))
def cancel_animation(here: Here, job_id: JobId, owner: Owner) -> AnimationJob:
    """Stop a job. One that has ended stays as it is."""
    here.job(job_id, owner)
    if here.store.change(job_id, only_from=("queued", "running"), status="cancelled", ended=time.time()):
        here.crew.cancel(job_id)
    return AnimationJob.shown(here.job(job_id, owner))


@ANIMATIONS.delete("/{job_id}", status_code=204, responses=problems(404, 422))
def remove_animation(here: Here, job_id: JobId, owner: Owner) -> Response:
    """Remove a job and its video; a job that has not ended is stopped."""
    here.job(job_id, owner)
    here.store.remove(job_id)
    here.crew.cancel(job_id)
    shutil.rmtree(here.folder / job_id, ignore_errors=True)
    return Response(status_code=204)


@ANIMATIONS.get(
    "/{job_id}/video",
    responses={**problems(404, 409, 422), 200: {"content": {"video/mp4": {}, "video/webm": {}}}},
    response_class=FileResponse,
)
def send_video(here: Here, job_id: JobId, owner: Owner) -> FileResponse:
    """The video of a job that succeeded, webm with background "transparent"; 409 before that."""
    job = here.job(job_id, owner)
    if job["status"] != "succeeded":
        raise HTTPException(409, "The job has no video, or not yet.")
    name = video_name(VIDEO, json.loads(job["options"]))
    return FileResponse(here.folder / job_id / name, media_type=f"video/{name.rpartition('.')[2]}")


@ANIMATIONS.get(
    "/{job_id}/events",
    responses={**problems(404, 422), 200: {"content": {"text/event-stream": {}}}},
    response_class=StreamingResponse,
)
def send_events(here: Here, job_id: JobId, owner: Owner, request: Request) -> StreamingResponse:
    """Server-sent events: the job whenever it changes, until it has ended."""
    here.job(job_id, owner)

    async def stream() -> AsyncIterator[str]:
        last = ""
        while not await request.is_disconnected():
            job = await run_in_threadpool(here.store.get, job_id, owner)
            if job is None:
                return
            if (now := AnimationJob.shown(job).model_dump_json()) != last:
                yield f"data: {now}\n\n"
                last = now
            if job["status"] in ENDED:
                return
            await asyncio.sleep(SECONDS_BETWEEN_EVENTS)

    return StreamingResponse(stream(), media_type="text/event-stream")


def _same(job: dict[str, Any], request: str) -> AnimationJob:
    """The job of this request. Raises 409 if another request made it."""
    if job["request"] != request:
        raise HTTPException(409, "This Idempotency-Key was used for another request.")
    return AnimationJob.shown(job)
