"""Feast, imported in a third of the time: by every process that opens a store.

Feast's classes are decorated with typeguard, which compiles each of their methods anew to check the types of its
arguments, and one of its modules imports torch for features that are read as tensors, which nobody here does.
"""

import sys
from collections.abc import Callable
from typing import Any


def import_feast() -> None:
    """Imports Feast without these checks and without torch; where it is imported already, nothing changes."""
    if "feast" in sys.modules:
        return
    import typeguard

    checked, without_torch = typeguard.typechecked, "torch" not in sys.modules
    typeguard.typechecked = _unchecked  # type: ignore[assignment]
    if without_torch:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import feast  # noqa: F401
    finally:
        typeguard.typechecked = checked
        if without_torch:
            del sys.modules["torch"]


def _unchecked(target: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
    """Stands in for typeguard.typechecked, which decorates with options and without."""
    return target if target is not None else _unchecked
