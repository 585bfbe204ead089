"""Validates the prepared catalogue and the vectors with Great Expectations."""
