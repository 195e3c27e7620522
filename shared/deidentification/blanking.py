"""Bytes of pixel data made zero in place."""


def blank(data: bytearray, at: int, end: int) -> bool:
    """Makes bytes zero; returns whether one of them was not."""
    if not any(data[at:end]):
        return False
    data[at:end] = bytes(end - at)
    return True
