"""Example projects that use the published features."""
