"""Erasure of Pins and users: `pinclip forget` (docs/operations.md, "Erasure").

forget.py      the order of it;  proof.py  what was found and erased;  remains.py  what only others can erase
pins.py        what is searched for: ids, texts, pictures
place.py       what every kind of place answers to: find, erase
online.py      tastes.py      shards.py      indexes.py      monitoring.py      artifacts.py
folders.py     runs, looks, studies, catalogues;  working.py  copies that killed processes left
tree.py        a folder, file by file;  formats/  a row, an entry, a passage in one file
withdrawn.py   whose consent is gone;  imported.py  a new catalogue from old tables

Tombstones are components/tombstones.py and model/data/forgotten.py.
"""
