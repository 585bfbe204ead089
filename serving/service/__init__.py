"""The near-real-time service: a new Pin is encoded, stored and found within milliseconds. Started by `pinclip serve`.

deployment.py   on Ray Serve: one replica, which holds the spaces it serves
space.py        one embedding space: a batch of Pins goes through encoder, index, online store and journal
api.py          the routes
columns.py      filters;  pictures.py  popular.py  what is shown of the catalogue
tags.py         its words for a picture;  signals.py  its words and boards, for reranking
guard.py        token, limits and back-pressure, before a request reaches a route
"""
