"""Monitoring: what one look at a published space and its catalogue needs.

collect.py measure.py notify.py   the steps of pipelines/monitoring.py
reference.py                      the facts that publishing keeps of what a space was trained on
collecting.py                     a sample of today's catalogue through today's model, and what the store serves
store.py                          the online store: Pins without vector, age, online against offline
measuring.py                      samples -> drift.json, MLflow
page.py  page.html.j2             drift.json -> one HTML page
noticing.py  webhook.py           drift.json -> a notice in Slack's format
cooldown.py                       at most one notice and one training in a while
"""
