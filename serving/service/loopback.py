"""Keeps a replica of Ray Serve from listening on all addresses of its machine.

Ray Serve opens a port in each replica for calls from other deployments, on every address, and unpickles what it is sent
there without asking for a token. No other deployment calls this one.
"""

from typing import Any

import ray


def listen_on_the_nodes_address() -> None:
    """Called in the replica's process before Ray Serve opens its port: that of the node is 127.0.0.1 on a Ray that
    `pinclip serve` has started."""
    from ray.serve._private import replica

    open_port = replica.add_port_to_grpc_server

    def at_node(server: Any, address: str) -> int:
        return int(open_port(server, f"{ray.util.get_node_ip_address()}:{address.rpartition(':')[2]}"))

    replica.add_port_to_grpc_server = at_node
