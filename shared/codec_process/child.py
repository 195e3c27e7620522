"""The codec process: does one job after the other, each within its limits, until its worker goes away.

It has no credentials, may write no file, and says nothing but its answers. A job that exceeds its memory is answered
with a failure; one that exceeds its processor time ends the process, and so does a codec that crashes.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from shared.codec_process.messages import (
    READY,
    Message,
    array,
    decoded_message,
    described,
    packed,
    received,
    tables_message,
)
from shared.dicom.errors import Unconvertible
from shared.dicom.pixels.frame_decoding import decode
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.pixels.presentation import tables_of
from shared.dicom.pixels.rendering import in_srgb

_POLITENESS: Final = 5
"""Codecs give way to the event loop of their worker."""
_PR_SET_NO_NEW_PRIVS: Final = 38


def main() -> None:
    """Serve jobs from standard input on what was standard output."""
    jobs, answers = _own_the_pipes()
    _confine()
    _send(answers, READY)
    while True:
        try:
            job = received(lambda size: _exactly(jobs, size))
        except EOFError:
            return
        _send(answers, _answered(job))


def _send(answers: BinaryIO, message: Message) -> None:
    answers.writelines(packed(message))
    answers.flush()


def _own_the_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Codecs that print must not print into the answers."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    return sys.stdin.buffer, answers


def _confine() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which then closes the pipe
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold pixels
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    os.nice(_POLITENESS)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    import imagecodecs
    import numpy as np

    imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(np.zeros((8, 8), np.uint8)))  # loaded before limits apply


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _answered(job: Message) -> Message:
    _limit(int(job.head["memory"]), int(job.head["seconds"]))
    try:
        return _JOBS[job.head["job"]](job.head, job)
    except Unconvertible as error:
        return Message({"refused": str(error)})
    except MemoryError:
        return Message({"refused": "The pixel data of the instance are too large to be converted."})
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _limit(memory: int, seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, most))
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - read once a job: no Path objects
            pages = int(file.read().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, resource.RLIM_INFINITY))


def _decode(head: Mapping[str, Any], job: Message) -> Message:
    return decoded_message(decode(bytes(job.body), head["syntax"], ImagePixels(**head["pixels"])))


def _tables(_: Mapping[str, Any], job: Message) -> Message:
    return tables_message(tables_of(bytes(job.body)))


def _srgb(head: Mapping[str, Any], job: Message) -> Message:
    """A colour picture, its profile behind it, in sRGB."""
    import numpy as np
    from PIL import Image

    size = int(head["profileAt"])
    picture = array(Message(dict(head), memoryview(job.body)[:size]))
    converted, profile = in_srgb(Image.fromarray(picture), bytes(memoryview(job.body)[size:]))
    samples = np.asarray(converted)
    return Message({**described(samples), "profileAt": samples.nbytes}, samples.tobytes() + profile)


_JOBS: Final[Mapping[str, Callable[[Mapping[str, Any], Message], Message]]] = {
    "decode": _decode,
    "tables": _tables,
    "srgb": _srgb,
}

if __name__ == "__main__":
    main()
