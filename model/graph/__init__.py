"""The Pin–Board graph: neighbours by random walks, and what is set apart for judging."""
