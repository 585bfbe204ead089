"""Ray: the cluster that a command works on, work in independent parts, and training here or in a RayJob."""
