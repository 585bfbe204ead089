"""Evaluation of vectors: the tasks, the metrics, and the comparison of models."""
