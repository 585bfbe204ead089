"""Has what comes in, or what comes out, moved away from what the model was trained on?

shifts.py     a figure of two samples, and what of it is sure however small they are
facts.py      the facts of Pins that are compared: images, texts
vectors.py    centroid, lengths and neighbours of Pin vectors
measures.py   the samples of one look -> measures, each beside its threshold
histograms.py two samples as shares of the same bins, to be looked at

Every measure has a value and a `sure` part: what is left of it when both samples were as unlucky as RISK allows. Only
the sure part is held against a threshold, so that an alarm means drift and not sampling noise.
"""
