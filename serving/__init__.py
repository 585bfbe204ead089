"""Reads and serves vectors at request time: the feature client, the encoder, the index and the service."""
