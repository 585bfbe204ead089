"""The import spec: what the tables are called and what their columns mean."""
