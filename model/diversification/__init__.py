"""The last step before a person sees the list: which candidates, in which order, so that it does not repeat itself.

candidates = Candidates(utility, visual, text, graph, ids)
order = ssd.rerank(candidates, slots=100, config=DiversificationConfig(beta=1.0))      # rows, first slot first

config.py       how much repetition costs, how far back it is looked for, what likeness is made of
candidates.py   what is put in order; a signal that a Pin does not have yet is a row of zeros
similarity.py   likeness of one candidate to all, over the signals that both have
ssd.py          Sliding Spectrum Decomposition, as the Home Feed Blender penalizes
mmr.py dpp.py   what it is compared with
graph_signal.py vectors of Pins from their neighbours in the walks
catalogue_signals.py    the same of their words, and of their boards alone, as a service has them
slate.py        what an order is worth: utility, likeness, distinct semantic IDs
"""
