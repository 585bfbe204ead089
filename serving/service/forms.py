"""Reads multipart/form-data (RFC 7578) by searching for its boundary, so that a form costs what its bytes cost: the
standard library's reader of mail goes through it line by line."""

import re
from collections.abc import Iterator
from email.parser import HeaderParser

HEAD = 4_096  # bytes of a part's header, at most
BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)


class BadForm(ValueError):
    """Says what is wrong, as a sentence."""


def parts(body: bytes, content_type: str, most: int) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each part.

    Raises:
        BadForm: there is no boundary, a part has no name or a long header, or there are more than `most`.
    """
    found = BOUNDARY.search(content_type)
    if found is None:
        raise BadForm("The form names no boundary; send it as multipart/form-data; boundary=….")
    mark = b"--" + (found[1] or found[2]).encode()
    if not body.startswith(mark):
        raise BadForm("The form does not begin with its boundary.")
    start, count = len(mark), 0
    while body[start : start + 2] != b"--":
        end = body.find(b"\r\n" + mark, start)
        if end < 0:
            raise BadForm("The form does not end with its boundary; it was cut off.")
        count += 1
        if count > most:
            raise BadForm(f"The form has more than {most} parts; send fewer.")
        yield _part(body, start + 2, end)
        start = end + 2 + len(mark)


def _part(body: bytes, start: int, end: int) -> tuple[str, bytes]:
    gap = body.find(b"\r\n\r\n", start, min(end + 4, start + HEAD))
    if gap < 0:
        raise BadForm(f"The form has a part whose header is longer than {HEAD:,} bytes or does not end.")
    head = HeaderParser().parsestr(body[start:gap].decode("utf-8", "replace"))
    name = head.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise BadForm("The form has a part without a name; send pin_id, image and texts.")
    if head.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise BadForm(f"The form's part {name[:40]} is encoded for mail; send its bytes as they are.")
    return name, body[gap + 4 : end]
