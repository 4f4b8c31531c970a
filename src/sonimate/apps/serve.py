"""`sonimate serve`: videos by HTTP."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from sonimate.apps.arguments import Subparsers, add_arguments, number, whole
from sonimate.errors import extra_needed


def add_parser(commands: Subparsers) -> None:
    """Add `serve` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "serve",
        help="make videos for HTTP clients",
        description="Answer HTTP requests for videos; /docs of the server describes them. Jobs are kept in a "
        "database: a restart loses none.",
    )
    add_arguments(
        parser,
        """
        --data DIR     uploads, videos and, by default, the database (default: %(default)s)
        --database URL
                       of SQLAlchemy, as in postgresql+psycopg://user@host/name
        --host NAME    address to listen at (default: %(default)s, this machine alone)
        --port N       (default: %(default)s)
        --ray ADDRESS  make the videos on this Ray cluster, or "local" for one on this machine
        --jobs N       workers (default: one for every 2 CPU cores; --ray: one for every GPU, or CPU)
        --keys FILE    API keys, one a line, of which clients send one as X-API-Key (default: none is needed)
        --c2pa CERT KEY
                       sign every video, as in sonimate animate
        --upload-mb MB
                       largest request (default: %(default)g)
        --queue N      most jobs that wait (default: %(default)s)
        --per-minute N
                       most new jobs of a client in a minute (default: %(default)s)
        --sound-seconds X
                       how much of a sound is used (default: %(default)g)
        --limit-seconds X
                       longest time of a job (default: %(default)g)
        --limit-memory MB
                       most memory of a worker (default: %(default)g)
        --keep-hours X
                       time after which an ended job and its video are removed (default: %(default)g)
        """,
        data={"type": Path, "default": Path("sonimate-service")},
        host={"default": "127.0.0.1"},
        port={"type": whole(0, 65535), "default": 8000},
        jobs=whole(1, 1000),
        keys=Path,
        c2pa={"nargs": 2},
        upload_mb={"type": number(0.01, 10_000), "default": 50.0},
        queue={"type": whole(1, 1_000_000), "default": 100},
        per_minute={"type": whole(1, 1_000_000), "default": 60},
        sound_seconds={"type": number(0.2, 1e6), "default": 60.0},
        limit_seconds={"type": number(1, 1e6), "default": 600.0},
        limit_memory={"type": number(100, 1e7), "default": 4000.0},
        keep_hours={"type": number(0, 1e5), "default": 24.0},
    )


def run(args: Namespace) -> None:
    """Serve until a signal ends it. Raises SonimateError."""
    with extra_needed("web"):
        import uvicorn

        from sonimate.apps.service.access import ServiceLimits
        from sonimate.apps.service.http_api import create_app
        from sonimate.apps.service.job_crew import JobCrew
        from sonimate.apps.service.job_store import JobStore
        from sonimate.apps.service.observing import LOGGING
    from sonimate.apps.jobs.batch_run import open_runners
    from sonimate.apps.jobs.workers import Limits
    from sonimate.media.files import require_file, write_errors
    from sonimate.media.provenance import read_signature

    if args.c2pa:
        read_signature(*args.c2pa)
    keys = require_file(args.keys).read_text(encoding="utf-8").split() if args.keys else []
    folder: Path = args.data / "jobs"
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    store = JobStore(args.database or f"sqlite:///{args.data / 'jobs.db'}")
    of_job = Limits(seconds=args.limit_seconds, memory_mb=args.limit_memory)
    of_client = ServiceLimits(
        upload_mb=args.upload_mb, queue=args.queue, per_minute=args.per_minute, seconds=args.sound_seconds
    )
    with open_runners(args.ray, args.jobs, of_job) as runners:
        crew = JobCrew(
            store,
            folder,
            runners,
            memory_mb=args.limit_memory,
            keep_seconds=args.keep_hours * 3600,
            own_options={"c2pa": [os.path.abspath(path) for path in args.c2pa]} if args.c2pa else {},
        )
        uvicorn.run(
            create_app(store, crew, folder, of_client, keys),
            host=args.host,
            port=args.port,
            http="httptools",
            timeout_graceful_shutdown=5,
            log_config=LOGGING,
            access_log=False,
        )
