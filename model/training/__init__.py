"""Training: what a step sees, what it minimises, and the loop around it."""
