# pyright: basic
"""The HTTP interface of the service, with its OpenAPI document at /openapi.json."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.routing import Match

import sonimate
from sonimate.apps.jobs.job_options import option_schema
from sonimate.apps.service.access import Clients, Here, Service, ServiceLimits, SizeLimit
from sonimate.apps.service.animation_routes import ANIMATIONS
from sonimate.apps.service.answers import problem_answer
from sonimate.apps.service.job_crew import JobCrew
from sonimate.apps.service.job_store import JobStore
from sonimate.apps.service.observing import Observed, log_event

ABOUT = APIRouter()


def create_app(
    store: JobStore, crew: JobCrew, folder: Path, limits: ServiceLimits, keys: list[str]
) -> FastAPI:
    """The application. folder: of the jobs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(crew.start)
        yield
        await run_in_threadpool(crew.stop)

    app = FastAPI(title="sonimate", version=sonimate.__version__, lifespan=lifespan, redirect_slashes=False)
    clients = Clients(keys, limits.per_minute)
    app.state.service = Service(store=store, crew=crew, folder=folder, limits=limits, clients=clients)
    app.add_middleware(SizeLimit, limit_bytes=limits.upload_mb * 1e6)
    app.add_middleware(Observed, metrics=crew.metrics)
    app.add_exception_handler(OperationalError, no_store)
    app.add_exception_handler(NoConnectionFree, no_store)
    app.add_exception_handler(405, wrong_method)
    app.include_router(ANIMATIONS)
    app.include_router(ABOUT)
    return app


def no_store(_: Request, error: Exception) -> JSONResponse:
    """The answer while the database is away."""
    log_event("the job store failed", error=str(error))
    return problem_answer(503, "The database of the jobs does not answer. Try again.", Retry_After="10")


def wrong_method(request: Request, _: Exception) -> JSONResponse:
    """Name all methods of the path: each of its routes knows only its own."""
    known = (*request.app.routes, *ANIMATIONS.routes, *ABOUT.routes)
    routes = [each for each in known if each.matches(request.scope)[0] is not Match.NONE]
    methods = {method for each in routes for method in getattr(each, "methods", ())}
    return problem_answer(405, "This address has no such method.", Allow=", ".join(sorted(methods)))


@ABOUT.get("/v1/options")
def show_options() -> dict[str, Any]:
    """The JSON schema of a job's options."""
    return option_schema(for_clients=True)


@ABOUT.get("/healthz")
def healthz() -> dict[str, str]:
    """The server answers."""
    return {"status": "ok"}


@ABOUT.get("/readyz")
def readyz(here: Here) -> dict[str, str]:
    """The server reaches its database."""
    here.store.counts()
    return {"status": "ok"}


@ABOUT.get("/metrics", response_class=PlainTextResponse)
def metrics(here: Here) -> Response:
    """For Prometheus: jobs by status, and how long requests and jobs took."""
    for name, count in here.store.counts().items():
        here.crew.metrics.jobs.labels(name).set(count)
    return PlainTextResponse(here.crew.metrics.text())
