"""Single modules of packages whose own __init__ imports torchvision or a whole pipeline."""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest


def module_of(package: str, module: str) -> Any:
    """The package's own, unchanged module, imported without the package's __init__. Skips the test where the
    package is not installed."""
    if package not in sys.modules:
        spec = find_spec(package)
        if spec is None or spec.submodule_search_locations is None:
            pytest.skip(f"{package} is not installed")
        empty = ModuleType(package)
        empty.__path__ = list(spec.submodule_search_locations)
        sys.modules[package] = empty
    return import_module(f"{package}.{module}")
