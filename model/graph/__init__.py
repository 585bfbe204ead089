"""The Pin–Board graph: neighbours by random walks, and the Pins and edges held out for evaluation."""
