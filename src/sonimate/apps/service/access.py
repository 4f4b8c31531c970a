# pyright: basic
"""Who may use the service, how much of it, and what requests find there."""

import hashlib
import hmac
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Request

from sonimate.apps.service.job_crew import JobCrew
from sonimate.apps.service.job_store import JobStore


@dataclass(frozen=True, kw_only=True)
class ServiceLimits:
    """upload_mb: of a request. queue: jobs that wait. per_minute: new jobs of a client. seconds: of sound
    that is used."""

    upload_mb: float = 50.0
    queue: int = 100
    per_minute: int = 60
    seconds: float = 60.0


@dataclass
class Clients:
    """Who may use the service, and how often. keys: secrets; without any, everyone is one client."""

    keys: list[str]
    per_minute: int
    _recent: dict[str, deque] = field(default_factory=lambda: defaultdict(deque))

    def owner(self, x_api_key: str) -> str:
        """The owner's name. Raises 401."""
        if not self.keys:
            return "everyone"
        given = x_api_key.encode()
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


@dataclass(frozen=True, kw_only=True)
class Service:
    """What requests need. folder: of the jobs, each in a folder of its id."""

    store: JobStore
    crew: JobCrew
    folder: Path
    limits: ServiceLimits
    clients: Clients

    def job(self, job_id: str, owner: str) -> dict[str, Any]:
        """A job of this owner. Raises 404."""
        job = self.store.get(job_id, owner)
        if job is None:
            raise HTTPException(404, "There is no such job.")
        return job


async def _service(request: Request) -> Service:
    return request.app.state.service


Here = Annotated[Service, Depends(_service)]
"""The service that was asked."""


async def _owner(here: Here, x_api_key: Annotated[str, Header()] = "") -> str:
    return here.clients.owner(x_api_key)


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
