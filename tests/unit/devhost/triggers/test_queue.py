"""Encodings of queue messages."""

import base64

from devhost.triggers.queue import decoded


def test_a_message_is_text_or_else_bytes() -> None:
    assert decoded(base64.b64encode("grüß".encode()).decode(), base64_encoded=True) == ("string", "grüß")
    assert decoded(base64.b64encode(b"\xff").decode(), base64_encoded=True) == ("bytes", b"\xff")
    assert decoded("not base64!", base64_encoded=True) is None
    assert decoded("plain", base64_encoded=False) == ("string", "plain")
