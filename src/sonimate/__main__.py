"""`python -m sonimate` is the command `sonimate`."""

import sys

from sonimate.apps.cli import main

sys.exit(main())
