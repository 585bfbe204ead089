"""Sources of catalogues: the importer of a user's tables, and the synthetic generator."""
