"""The bytes that Feast 0.67 keeps in its online stores, for many entities at once and without a message for each.

    entity key   number of join keys · STRING · length · name · STRING · length · value    numbers: 4 bytes, low first
    value        of Bytes: a header, the same for all of one length, and the bytes
    Redis        hash <entity key><project>:  murmur3("view:feature") -> value,  "_ts:view" -> Timestamp

Feast is not imported here; the tests hold every function against its own.
"""

import struct
from collections.abc import Sequence
from typing import Any

STRING = 2  # feast.types.ValueType of join keys and their names


def entity_keys(join_key: str, ids: Sequence[str]) -> list[bytes]:
    """The keys of entities with one join key of text (entity_key_serialization_version 3)."""
    name = join_key.encode()
    start = struct.pack("<III", 1, STRING, len(name)) + name + struct.pack("<I", STRING)
    return [start + struct.pack("<I", len(value)) + value for value in map(str.encode, ids)]


def bytes_header(size: int) -> bytes:
    """What stands before `size` bytes in a stored value: the number of the protobuf field, the length as a varint."""
    header = bytearray([0x0A])
    while size > 0x7F:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*header, size])


def pipelined(client: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The answers to commands sent in one go to a redis.Redis, without the work of its pipeline for each of them."""
    connection = client.connection_pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        return [connection.read_response() for _ in commands]
    except BaseException:
        connection.disconnect()  # unread answers may still arrive on this connection
        raise
    finally:
        client.connection_pool.release(connection)
