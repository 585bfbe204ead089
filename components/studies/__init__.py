"""Studies: many trainings on one catalogue, compared. `pinclip ablate`, `pinclip scale`, `pinclip tune`.

data.py           prepares the catalogue and walks its graph, once for every setting that asks for it
trials.py         runs trials side by side on Ray; a finished one is kept and never trained again
foreign.py        the trials of foreign image–text models
scaling.py        the trials of growing shares of the training Pins
search_space.py   what a search draws from;  tuning.py  the search
tables.py         trials as means with intervals and gains;  markdown_report.py  table.md;  plots.py  the pictures
"""
