# pyright: basic
"""The jobs of the service in a database: SQLite, or PostgreSQL by its address."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")
ENDED = STATUSES[2:]
CONNECTIONS = 48
"""Opened when needed, and kept: the server has 40 threads for requests, and a connection costs more to open
than a job to read."""

JOBS = Table(
    "animations",
    MetaData(),
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("idempotency_key", String(255)),
    Column("request", String(64), nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("options", Text, nullable=False),
    Column("stage", String(32), nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created", Float, nullable=False, index=True),
    Column("ended", Float),
    Column("error", Text),
    UniqueConstraint("owner", "idempotency_key"),
)


class JobStore:
    """All methods may be called from any thread. Jobs are dicts of the table's columns."""

    def __init__(self, url: str) -> None:
        """url: of SQLAlchemy, such as sqlite:///jobs.db or postgresql+psycopg://user@host/name."""
        self._engine = create_engine(url, pool_pre_ping=True, pool_size=CONNECTIONS, max_overflow=0)
        if self._engine.dialect.name == "sqlite":

            @event.listens_for(self._engine, "connect")
            def _prepare(connection: Any, _: Any) -> None:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute("PRAGMA busy_timeout=10000")

        JOBS.metadata.create_all(self._engine)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def add(
        self, job_id: str, owner: str, options: dict[str, Any], request: str, key: str | None
    ) -> tuple[dict[str, Any], bool]:
        """A new queued job, or the one that this idempotency key made before; and whether it is new."""
        job: dict[str, Any] = {
            "id": job_id, "owner": owner, "options": json.dumps(options), "request": request,
            "idempotency_key": key, "status": "queued", "stage": "", "done": 0, "total": 0, "attempts": 0,
            "created": time.time(), "ended": None, "error": None,
        }  # fmt: skip
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(JOBS).values(**job))
        except IntegrityError:
            return self.made_by(owner, key) or {}, False
        return job, True

    def made_by(self, owner: str, key: str | None) -> dict[str, Any] | None:
        """The job that this idempotency key made."""
        with self._engine.begin() as connection:
            made = select(JOBS).where(JOBS.c.owner == owner, JOBS.c.idempotency_key == key)
            row = connection.execute(made).mappings().first()
        return dict(row) if row else None

    def get(self, job_id: str, owner: str | None = None) -> dict[str, Any] | None:
        """A job, if it exists and is the owner's."""
        with self._engine.begin() as connection:
            row = connection.execute(select(JOBS).where(JOBS.c.id == job_id)).mappings().first()
        return dict(row) if row and owner in (None, row["owner"]) else None

    def change(self, job_id: str, *, only_from: tuple[str, ...] = STATUSES, **values: Any) -> bool:
        """Change columns of a job whose status is one of these; whether it was."""
        with self._engine.begin() as connection:
            wanted = JOBS.c.id == job_id, JOBS.c.status.in_(only_from)
            return connection.execute(update(JOBS).where(*wanted).values(**values)).rowcount == 1

    def claim(self) -> dict[str, Any] | None:
        """Take the oldest queued job; no other caller gets it."""
        while True:
            with self._engine.begin() as connection:
                oldest = select(JOBS.c.id, JOBS.c.attempts).where(JOBS.c.status == "queued")
                row = connection.execute(oldest.order_by(JOBS.c.created).limit(1)).first()
            if row is None:
                return None
            claimed = {"status": "running", "attempts": row.attempts + 1}
            if self.change(row.id, only_from=("queued",), **claimed):
                return self.get(row.id)

    def recover(self, in_hand: Collection[str] = ()) -> None:
        """Queue again what is running, but for the jobs that someone still makes."""
        lost = JOBS.c.status == "running", JOBS.c.id.not_in(in_hand)
        with self._engine.begin() as connection:
            connection.execute(update(JOBS).where(*lost).values(status="queued"))

    def counts(self) -> dict[str, int]:
        """Jobs by status."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(JOBS.c.status, func.count()).group_by(JOBS.c.status)).all()
        found = {row[0]: row[1] for row in rows}
        return {status: found.get(status, 0) for status in STATUSES}

    def remove(self, job_id: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(JOBS).where(JOBS.c.id == job_id))

    def ended_before(self, moment: float) -> list[str]:
        """Jobs that ended before this time, in seconds since 1970."""
        with self._engine.begin() as connection:
            old = select(JOBS.c.id).where(JOBS.c.status.in_(ENDED), JOBS.c.ended < moment)
            return list(connection.execute(old).scalars())
