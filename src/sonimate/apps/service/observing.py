# pyright: basic
"""What the server tells about itself: log lines in JSON on standard output, and numbers for Prometheus."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_log = logging.getLogger("sonimate.service")
_JOB_SECONDS = (1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600)


class JsonLines(logging.Formatter):
    """A record as a line of JSON: time (UTC), level, event, the fields of `extra={"fields": {...}}`, and the
    exception."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonLines}},
    "handlers": {
        "stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}
    },
    "loggers": {
        name: {"handlers": ["stdout"], "level": "INFO", "propagate": False}
        for name in ("sonimate.service", "uvicorn")
    },
}
"""For `logging.config.dictConfig`."""


def log_event(event: str, **fields: Any) -> None:
    """Write a line to the log of the service."""
    _log.info(event, extra={"fields": fields})


class ServiceMetrics:
    """The numbers of one server since its start."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.jobs = Gauge("sonimate_jobs", "Jobs by status", ["status"], registry=self.registry)
        self.requests = Histogram(
            "sonimate_request_seconds",
            "From a request to the first byte of its answer",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.job_seconds = Histogram(
            "sonimate_job_seconds",
            "From the start of a job in a worker to its end",
            ["status"],
            registry=self.registry,
            buckets=_JOB_SECONDS,
        )
        self.waited = Histogram(
            "sonimate_job_wait_seconds",
            "From the request for a job to its start in a worker",
            registry=self.registry,
            buckets=_JOB_SECONDS,
        )
        self.retries = Counter("sonimate_job_retries", "Jobs that are tried again", registry=self.registry)

    def text(self) -> bytes:
        """In the form that Prometheus reads."""
        return generate_latest(self.registry)


class Observed:
    """Middleware that counts and logs requests, by route: paths are the clients' words."""

    def __init__(self, app: Any, metrics: ServiceMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, seconds = time.perf_counter(), 500, 0.0

        async def noted(message: Any) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - started
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            known = scope["method"] in ("GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS")
            method = scope["method"] if known else "other"
            seconds = seconds or time.perf_counter() - started
            self._metrics.requests.labels(method, route, status).observe(seconds)
            log_event(
                "request",
                method=method,
                route=route,
                path=scope["path"][:200],
                status=status,
                seconds=round(seconds, 4),
            )
