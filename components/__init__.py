"""Adapters to the platform: KFP steps, Ray, MLflow, Feast, monitoring, reports and studies."""
