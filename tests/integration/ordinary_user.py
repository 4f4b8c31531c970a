"""A process of root, for a time with another user's rights."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65_534


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Root may read everything: within the block, this process has another user's rights."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
