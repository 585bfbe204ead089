"""Reads Pin vectors for rankers from Feast's online store."""

from serving.features.client import Features

__all__ = ["Features"]
