import struct

import pytest

from shared.deidentification.segments import entries

DISCRETE = (0, 3, 10, 20, 30)
LINEAR = (1, 5, 80)


def words(*numbers):
    return struct.pack(f"<{len(numbers)}H", *numbers)


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (DISCRETE, 3),
        (DISCRETE + LINEAR, 8),
        (DISCRETE + LINEAR + (2, 2, 0, 0), 16),
        (DISCRETE + LINEAR + (2, 1, 10, 0), 13),
        ((), 0),
        (LINEAR, None),
        ((0, 0), None),
        ((0, 4, 1, 2, 3), None),
        ((0,), None),
        ((*DISCRETE, 2, 2, 0, 0), None),
        ((*DISCRETE, 2, 1, 3, 0), None),
        ((*DISCRETE, 2, 1, 2, 0), None),
        ((*DISCRETE, 2, 1, 0, 0, 2, 1, 10, 0), None),
        ((*DISCRETE, 3, 1, 0), None),
        (DISCRETE + tuple(b"Zquxmorf"), None),
    ],
)
def test_entries_of_segments_are_counted_and_nothing_else_may_be_there(segments, expected) -> None:
    assert entries(words(*segments), wide=True) == expected


@pytest.mark.spec("DEID-2")
def test_words_of_eight_bits_have_one_byte_and_perhaps_one_more_at_the_end() -> None:
    assert entries(bytes((*DISCRETE, *LINEAR)), wide=False) == 8
    assert entries(bytes((*DISCRETE, 2, 1, 0, 0, 0, 0)), wide=False) == 6
    assert entries(bytes((*DISCRETE, 0)), wide=False) == 3
    assert entries(bytes((*DISCRETE, 65)), wide=False) is None
    assert entries(words(*DISCRETE) + b"Z", wide=True) is None
