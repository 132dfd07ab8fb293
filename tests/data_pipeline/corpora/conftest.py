"""Archives of records, written for the tests."""

import pytest

from data_pipeline.jobs.drops import Drops


def record(content, kind="conversion", length=None, url="http://a.example/"):
    """A record; `length`: what it says, or "" for none at all."""
    length = len(content) if length is None else length
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
    if length != "":
        head += f"Content-Length: {length}\r\n"
    return head.encode() + b"\r\n" + content + b"\r\n\r\n"


def response(body, *fields, status="200 OK"):
    """The content of a record of type response."""
    fields = ("Content-Type: text/html", *fields)
    lines = [f"HTTP/1.1 {status}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
def drops():
    """Drops with `reasons`: (reason, number of the place), in order."""
    reasons = []
    found = Drops(
        lambda each: reasons.append(
            (each.reason, each.place.rpartition(":")[2])
        )
    )
    found.reasons = reasons
    return found
