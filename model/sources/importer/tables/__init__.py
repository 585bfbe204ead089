"""Reading tables of any format as a stream of small batches."""
