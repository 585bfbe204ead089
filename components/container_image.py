"""The container image of every step: kfp, this project and its dependencies."""

# kfp.local asks for "python" in the name of an image whose steps it runs as plain processes.
IMAGE = "pinclip-python:latest"
