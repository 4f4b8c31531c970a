"""`python -m sonimate` is the command `sonimate`."""

from sonimate.apps.cli import run_process

run_process()
