"""A ranking team's own small project: a LightGBM ranker on features read through Feast alone."""
