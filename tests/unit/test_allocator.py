"""Memory that is freed goes back to the system."""

import platform
import subprocess
import sys

import pytest

from shared.allocator import give_back_freed_memory

_PROGRAM = """
import ctypes, sys
from shared.allocator import give_back_freed_memory

class Use(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena free fast mappings mapped used a b c d".split()]

c = ctypes.CDLL(None)
c.malloc.restype, c.mallinfo2.restype = ctypes.c_void_p, Use
c.free.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "yes":
    assert give_back_freed_memory()
c.free(c.malloc(30 << 20))
before = c.mallinfo2().mappings
c.malloc(20 << 20)
print(c.mallinfo2().mappings - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are those of the GNU C library")
@pytest.mark.spec("STOW-50")
@pytest.mark.parametrize(("set_up", "mappings"), [("no", "0"), ("yes", "1")])
def test_a_large_block_is_a_mapping_of_its_own_even_after_a_larger_one_was_freed(set_up, mappings):
    """By itself the library learns to take it from an arena, where it leaves a hole."""
    command = [sys.executable, "-c", _PROGRAM, set_up]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == mappings


def test_another_c_library_has_no_such_settings(monkeypatch):
    monkeypatch.setattr("shared.allocator.ctypes.CDLL", lambda _: object())
    assert give_back_freed_memory() is False
