"""Keeps a replica of Ray Serve from opening a port that this service has no use for.

Ray Serve opens one in each replica for calls from other deployments: on all addresses of the machine, and it unpickles
what it is sent there without asking for a token. No other deployment calls this one.
"""


def open_no_port() -> None:
    """Called in the replica's process before Ray Serve opens the port; its gRPC server then listens nowhere."""
    from ray.serve._private import replica

    replica.add_port_to_grpc_server = lambda server, address: 0
