"""How many CPUs there are for this process."""


def cpus() -> int:
    """Of a pod its limit, where os.cpu_count() tells what its node has."""
    from joblib import cpu_count  # a third of a second

    return int(cpu_count())
