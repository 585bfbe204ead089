"""Pipelines on this machine: the runner, its display and the run folders."""
