"""MLflow: runs, model versions, and which version is challenger and champion.

pin_model.py    what a registered version computes;  one_file.py  gathers it into the one file that the version holds
versions.py     registers a version;  candidates.py  the one that is to serve;  champion.py  comparing with it
tracking.py     runs, figures, files;  artifacts.py  a version's model folder;  webhook.py  MLflow's call
"""
