"""What makes the start of a run that uses torch faster."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Thread


def prepare_threads() -> None:
    """Make OpenMP's waiting threads spin for a short time, then sleep. By default they spin for long: with
    other busy programs on the machine, the UNet then took 3 to 20 times as long. Without any spinning it
    takes 1.5 times as long on an idle machine. OpenMP reads these variables once, when torch loads."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


@cache
def start_loading_torch() -> None:
    """Load torch's largest library in a thread, while the face is found: torch's import then takes 0.14 s
    less. The import itself would hold Python's lock while it loads the library; this call does not."""
    prepare_threads()
    torch = find_spec("torch")
    for folder in (torch and torch.submodule_search_locations) or ():
        library = Path(folder, "lib", "libtorch_cpu.so")
        if library.exists():  # on Linux
            load = ctypes.CDLL(None).dlopen
            Thread(target=load, args=(os.fsencode(library), os.RTLD_NOW)).start()
