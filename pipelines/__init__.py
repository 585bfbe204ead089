"""The pipelines (DAGs), the command line, the local runner and the Kubeflow client."""
