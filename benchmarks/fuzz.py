"""Damaged pictures, sounds and videos, read in one process: each is read, or refused by an own error.

fuzz.py
fuzz.py --cases 500

Small files of all common formats are made, and cut, changed in some bytes, or made longer, by a fixed seed.
The exit code is 1 if a file ended in another exception, took more than 5 s, or if memory grew.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from lib.damaged_files import SLOWEST_SECONDS, grown_mb, make_samples, try_cases

MAX_GROWTH_MB = 100
"""Between the first fifth of the cases, after which all decoders are loaded, and the last one."""


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=5000, help="number of damaged files (default: 5000)")
    cases = parser.parse_args(argv).cases
    logging.getLogger("sonimate").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        samples = make_samples(Path(name))
        results = list(try_cases(samples, range(cases), Path(name)))
    for suffix in sorted(samples):
        of_kind = [result for result in results if result.suffix == suffix]
        refused = sum(result.outcome == "refused" for result in of_kind)
        slowest = max((result.seconds for result in of_kind), default=0.0)
        print(f"{suffix:<5} {len(of_kind):5} cases, {refused:5} refused, slowest {slowest:.2f} s")
    defects = [result for result in results if result.outcome not in ("read", "refused")]
    slow = [result for result in results if result.seconds > SLOWEST_SECONDS]
    for result in defects + slow:
        print(f"case {result.case} ({result.suffix}): {result.outcome}, {result.seconds:.1f} s")
    growth = grown_mb(results)
    print(f"{len(results)} cases, {len(defects)} defects, {len(slow)} slow, memory grew by {growth:.0f} MB")
    sys.exit(bool(defects or slow or growth > MAX_GROWTH_MB))


if __name__ == "__main__":
    main()
