"""Bytes of pixel data made zero in place."""


def blank(data: bytearray, at: int, end: int) -> bool:
    """Makes bytes zero; returns whether one of them was not."""
    if not says_something(data, at, end):
        return False
    data[at:end] = bytes(end - at)
    return True


def says_something(data: bytearray, at: int, end: int) -> bool:
    """Whether one of the bytes is not zero: compared at one go, for a loop over a piece of a file, each byte of which
    becomes a number, would hold the interpreter's lock for too long (STOW-46).
    """
    return data[at:end] != bytes(max(0, end - at))
