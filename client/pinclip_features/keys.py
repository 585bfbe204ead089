"""The keys and values of Feast in Redis (entity_key_serialization_version 3); README.md has them byte by byte."""

import struct

STRING = 2  # Feast's number for text


def entity_key(project: str, pin_id: str) -> bytes:
    """The hash that holds everything of a Pin."""
    name, value = b"pin_id", pin_id.encode()
    key = struct.pack("<III", 1, STRING, len(name)) + name + struct.pack("<II", STRING, len(value)) + value
    return key + project.encode()


def field(view: str, feature: str) -> bytes:
    """The field of a feature in that hash: the murmur3 hash of its name, lowest byte first."""
    return struct.pack("<I", murmur3(f"{view}:{feature}".encode()))


def header(size: int) -> bytes:
    """What stands before the bytes of a value: protobuf's tag of `bytes_val`, and the length as a varint."""
    start = bytearray([0x0A])
    while size > 0x7F:
        start.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*start, size])


def whole_numbers(value: bytes) -> tuple[int, ...] | None:
    """A list of whole numbers from 0 on: protobuf's tags of `int64_list_val` and its values, packed; None: no such."""
    if (
        len(value) < 4
        or value[0] != 0x72
        or value[2] != 0x0A
        or value[1] != len(value) - 2
        or value[3] != len(value) - 4
    ):
        return None  # the lengths are one byte each: a semantic ID is short
    numbers, number, shift = list[int](), 0, 0
    for byte in value[4:]:
        number, shift = number | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            numbers.append(number)
            number, shift = 0, 0
    return tuple(numbers) if shift == 0 else None


def murmur3(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0 (Austin Appleby, public domain), unsigned."""
    mask, state = 0xFFFFFFFF, 0
    whole = len(data) - len(data) % 4
    for (block,) in struct.iter_unpack("<I", data[:whole]):
        state ^= _mixed(block)
        state = ((state << 13 | state >> 19) & mask) * 5 + 0xE6546B64 & mask
    if tail := data[whole:]:
        state ^= _mixed(int.from_bytes(tail, "little"))
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & mask
    state = (state ^ state >> 13) * 0xC2B2AE35 & mask
    return state ^ state >> 16


def _mixed(block: int) -> int:
    block = block * 0xCC9E2D51 & 0xFFFFFFFF
    return (block << 15 | block >> 17) * 0x1B873593 & 0xFFFFFFFF
