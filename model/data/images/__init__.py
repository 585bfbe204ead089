"""Images from strangers: which formats are read, and how bytes become pixels."""
