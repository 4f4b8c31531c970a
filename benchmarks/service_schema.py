"""Does the service keep to its OpenAPI document? schemathesis sends a server requests made from the document,
right and wrong ones, single and in sequences, and checks every answer. Their files are a video of a speaker.
Right ones may still be refused with 422: no schema can say that there is no second face, or that X0 < X1.

Prints its report. Exit code 1 if an answer breaks the document.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lib.service_process import UNLIMITED, ServiceProcess

CONFIGURATION = """
[[operations]]
include-name = "POST /v1/animations"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "409", "422", "429", "503"]
"""


def main(argv: list[str] | None = None) -> int:
    """Start a server and check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="requests of each kind and operation")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    with TemporaryDirectory(prefix="sonimate-schema-") as name:
        server = ServiceProcess(Path(name, "data"), *UNLIMITED, "--jobs", "1")
        try:
            return run_schemathesis(server.url, args.examples, args.seed, Path(name))
        finally:
            server.stop()


def run_schemathesis(url: str, examples: int, seed: int, folder: Path) -> int:
    """Its exit code. The same seed makes the same requests; a slow machine breaks nothing."""
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    command += ["run", f"{url}/openapi.json", "--max-examples", str(examples), "--seed", str(seed)]
    command += ["--generation-database", "none", "--request-timeout", "120", "--continue-on-failure"]
    command += ["--suppress-health-check", "all", "--no-color"]
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    hooks = {"SCHEMATHESIS_HOOKS": "lib.service_requests", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, cwd=folder, env=os.environ | hooks, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
