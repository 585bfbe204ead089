"""Embedding spaces in the feature store: published, kept warm, switched, retired."""
