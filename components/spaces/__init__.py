"""Embedding spaces in the feature store: published, kept online, promoted, retired.

publish.py            a version's quantized vectors become a space, beside the others
published_spaces.py   which spaces there are, and which serves
materialize.py        statistics, tastes and vectors of a space, all of it online
embed_missing.py      vectors that a space lacks;  index.py  its nearest-neighbour index
compatible.py         the version that a new one stays comparable with, for its training
query_sample.py       searches that the index is asked with before the space serves
semantic_ids.py       learned from its vectors;  tag_calibration.py  space_words.py  scores of tags, and who uses them
promote.py            what MLflow calls the champion becomes what serves
switch.py             the one write that moves `pin_ranking`;  roll_back.py  retire.py
feature_store.py      Feast;  offline_rows.py  rows on disk (rows online: serving/online/)
drift_reference.py    what a space was trained on, for monitoring;  skew.py  offline against online
"""
