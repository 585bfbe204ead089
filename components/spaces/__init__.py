"""Embedding spaces in the feature store: published, kept warm, promoted, retired.

publish.py         a version's quantized vectors become a space, beside the others
published.py       which spaces there are, and which serves
warm.py            statistics, tastes and vectors of a space, all of it online
missing.py         vectors that a space lacks;  index.py  its nearest-neighbour index
promote.py         what MLflow calls the champion becomes what serves
switch.py          the one write that moves `pin_ranking`;  roll_back.py  retire.py
feature_store.py   Feast;  feature_log.py  rows on disk (rows online: serving/online/)
reference.py       what a space was trained on, for monitoring;  skew.py  offline against online
"""
