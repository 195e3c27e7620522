"""The bounds on the cost of one connection, and of the server as a whole."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the server; durations in seconds."""

    head_bytes: int = 64 * 1024
    """Request line and fields. More than the Functions host lets through (8 + 32 KiB) with what it adds: a head that is
    cut off could hide the id of the invocation that waits for it."""
    head_seconds: float = 30.0
    """From the first byte of a head to its last."""
    idle_seconds: float = 120.0
    """Without a byte while a body is awaited, or while the client does not take what is sent."""
    total_seconds: float = 4 * 3600.0
    """From the head of a request to the last byte of its answer."""
    keep_alive_seconds: float = 180.0
    """Between requests. Longer than the pool of the host keeps a connection (60 s): the host repeats a request that met
    a closing connection only if it has no body."""
    claim_seconds: float = 30.0
    """From the head of a request until its invocation has asked for it, and the other way round."""
    linger_seconds: float = 2.0
    """For reading on after an answer that came before the end of the request, so that the client gets to read it."""
    linger_bytes: int = 256 * 1024 * 1024
    """Of that, which are thrown away. In the middle of a large upload a host sends many before it sees the answer, and
    a reset would cost it the answer."""
    drain_seconds: float = 20.0
    """For what is under way when the process is told to end."""
    connections: int = 1000
