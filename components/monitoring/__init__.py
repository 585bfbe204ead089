"""Monitoring: what one look at a published space and its catalogue needs.

catalogue_sample.py      a sample of today's catalogue through today's model, and what the store serves
store_checks.py          the online store: Pins without vector, age, online against offline
measures.py              samples -> drift.json, MLflow
page.py  page.html.j2    drift.json -> one HTML page
notice.py  webhook.py    drift.json -> a notice in Slack's format
retraining.py            drift starts a training on the cluster
cooldown.py              at most one notice and one training in a period

The steps are collect, measure, notify and retrain (components/steps/, pipelines/monitoring.py).
"""
