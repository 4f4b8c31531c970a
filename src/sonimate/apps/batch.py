"""`sonimate batch`: makes the videos of a list, on workers that keep their model."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from sonimate.apps.arguments import Subparsers, add_arguments, number, whole
from sonimate.apps.streams import publish, say
from sonimate.errors import JobsFailed


def add_parser(commands: Subparsers) -> None:
    """Add `batch` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "batch",
        help="make the videos of a list",
        description="Make a video of every line of JOBS.jsonl: a JSON object with portrait, audio, output "
        "and any option of animate, such as head_motion. A repeated list does what is not yet done.",
    )
    add_arguments(
        parser,
        """
        JOBS.jsonl     the list; its paths are relative to it, those of output to DIR
        -o, --output DIR
                       the folder for videos, logs/, state.jsonl, report.json and report.txt
        --ray ADDRESS  run on this Ray cluster, or "local" for one on this machine
        --jobs N       workers (default: one for every 2 CPU cores; --ray: one for every GPU, or CPU)
        --retries N    more tries for a job whose worker died (default: %(default)s)
        --limit-seconds X
                       longest time of a job (default: %(default)g)
        --limit-memory MB
                       most memory of a worker (default: %(default)g)
        """,
        output={"required": True, "type": Path},
        jobs=whole(1, 1000),
        retries={"type": whole(0, 100), "default": 2},
        limit_seconds={"type": number(1, 1e6), "default": 3600.0},
        limit_memory={"type": number(100, 1e7), "default": 8000.0},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate batch` command line. Raises SonimateError; JobsFailed after the others are
    done."""
    from sonimate.apps.jobs.batch_list import LOGS, BatchState, Entry, read_list, write_batch_report
    from sonimate.apps.jobs.batch_run import open_runners, run_entries
    from sonimate.apps.jobs.workers import Limits, Outcome
    from sonimate.media.files import write_errors

    folder: Path = args.output
    entries = read_list(getattr(args, "jobs.jsonl"), folder)
    with write_errors(folder):
        (folder / LOGS).mkdir(parents=True, exist_ok=True)
        for entry in entries:
            if entry.job:
                entry.job.output_path.parent.mkdir(parents=True, exist_ok=True)
    state = BatchState(folder)
    to_do = [entry for entry in entries if not state.is_done(entry)]
    say(f"{len(entries)} jobs, {len(entries) - len(to_do)} of them done before")
    limits = Limits(seconds=args.limit_seconds, memory_mb=args.limit_memory)
    made: list[str] = []
    ended: list[str] = []

    def done(entry: Entry, outcome: Outcome, attempts: int) -> None:
        result = state.add(entry, outcome, attempts)
        ended.append(entry.name)
        if result["status"] == "succeeded":
            made.append(entry.name)
        why = f": {result['error']['message']}" if "error" in result else f" {result['wall_seconds']:.1f} s"
        say(f"{len(ended)}/{len(to_do)} {entry.name} {result['status']}{why}")

    if to_do:
        with open_runners(args.ray, args.jobs, limits, most=len(to_do)) as runners:
            run_entries(to_do, runners, done, retries=args.retries)
    failed = write_batch_report(folder, entries, state, len(made))
    publish((folder / "report.txt").read_text(encoding="utf-8").rstrip())
    if failed:
        raise JobsFailed(
            f"{len(failed)} of {len(entries)} jobs failed. {folder / 'report.txt'} has the reasons."
        )
