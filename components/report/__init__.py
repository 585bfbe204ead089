"""report.html: what a person reads after a run; one file, nothing fetched from outside.

rendering.py        render(...): reads a run's folders and fills the page
tables.py           metrics.json, the validation result and the configuration as rows
loss_curves.py      loss curves: SVG for the page, SVG, PNG and CSV beside it
evaluation_charts.py  recall against bytes, recall by slice
gallery.py          Pins as thumbnails: retrieved examples and mined neighbours
template.html.j2    the page;  style.css  its looks, light and dark
"""
