"""Whole runs take minutes: they come last, so that a mistake in a single part shows first."""

from pathlib import Path


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: Path(__file__).parent in item.path.parents)
