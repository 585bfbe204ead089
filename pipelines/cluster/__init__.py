"""Pipelines on a Kubeflow cluster: its client, deploy profiles, packages, schedules and checks."""
