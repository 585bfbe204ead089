"""Studies: many trainings on one catalogue, compared. `pinclip ablate`, `pinclip scale`, `pinclip tune`.

data.py        prepares the catalogue and walks its graph, once for every setting that asks for it
trials.py      runs trials side by side on Ray; a finished one is kept and never trained again
tables.py      trials as means with intervals and gains over the CLIP objective
plots.py       the same as pictures
"""
