"""`python -m sonimate.features SHARDS -o DATA --speech SPEECH`: training data of the compact model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from sonimate.errors import SonimateError
from sonimate.features.derive import derive


def main() -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sonimate.features", description=__doc__)
    parser.add_argument("shards", type=Path, help="folder that sonimate prepare has written")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--speech", type=Path, help="folder of sonimate speech")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    try:
        derived = derive(arguments.shards, arguments.out, arguments.speech, seed=arguments.seed)
    except SonimateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{len(derived.clips)} clips and {derived.synthetic} utterances; see {arguments.out}/derived.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
