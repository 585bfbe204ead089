"""One cell of a table as a value of the catalogue."""
