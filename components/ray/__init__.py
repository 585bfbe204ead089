"""Ray: the cluster that a command works on, work in parts, and training here or in a RayJob."""
