"""Extraction: what frozen pretrained towers give for every image and every text, computed once and kept.

records.py   the store: records of a fixed size, by tower and content
runtime.py   a frozen tower ready to run: ONNX Runtime on a CPU, torch on a GPU
extract.py   the pass over a prepared catalogue; what is there already is not computed again
reading.py   the records of a run: of the rows of its catalogue, and of its texts
"""
