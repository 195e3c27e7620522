"""The codec processes of a worker: jobs go to whichever is idle, and what a job does to its process stays there."""

import contextlib
import hashlib
import math
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from shared import telemetry
from shared.codec_process.messages import (
    Limits,
    Message,
    array,
    decoded_in,
    described,
    packed,
    received,
    tables_in,
)
from shared.dicom.errors import Unconvertible
from shared.dicom.pixels.frame_decoding import Decoded, check_source, codec_memory, decode
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.pixels.presentation import Tables
from shared.dicom.transfer_syntaxes import DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED, NATIVE, RLE_LOSSLESS
from shared.errors import Unavailable

if TYPE_CHECKING:
    from PIL.Image import Image

_MIB: Final = 1024 * 1024
_MEMORY: Final = 64 * _MIB
"""The memory that a job may take however small its result is."""
_SECONDS: Final = 4
_BYTES_A_SECOND: Final = 4 * _MIB
"""Of decoded samples: a fifth of what the slowest codec does on a slow machine."""
_TABLES_SECONDS: Final = 10
_TABLES_SPACE: Final = 256 * _MIB
"""Address space, most of it never used, for the libraries that are loaded with the first job of this kind."""
_TABLES_RATIO: Final = 64
"""Memory that a byte of a header can take while its tables are looked for, up to `_TABLES_MEMORY`."""
_TABLES_MEMORY: Final = 256 * _MIB
_PATIENCE: Final = 5
"""The longest time of a job, as a multiple of its processor time: processors are shared."""
_START_SECONDS: Final = 30.0
_REFUSED: Final = 1024
"""The number of remembered frames that ended a process: such a one is not tried again."""
_JOBS_PER_PROCESS: Final = 2000
"""After so many a process is replaced: codecs leak."""
_PIPE_BYTES: Final = _MIB
_KEPT_ENVIRONMENT: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "OPENBLAS_CORETYPE")
_WITHOUT_CODEC: Final = NATIVE | {ENCAPSULATED_UNCOMPRESSED, RLE_LOSSLESS, DEFLATED_FRAMES}
"""RLE, too: its decoder passes over the bytes once and writes no more than the frame."""
_FAILED: Final = "The pixel data of the instance cannot be decoded."


class CodecProcesses:
    """Runs codecs on bytes from outside. Its methods block: call them in threads, of which as many as there are
    processors run at a time; each has a process while it needs one.
    """

    def __init__(self, module: str = "shared.codec_process.child") -> None:
        """`module` is what a codec process runs."""
        self._module = module
        self._idle: list[_Process] = []
        self._lock = threading.Lock()
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        weakref.finalize(self, _end, self._idle)

    def decode(self, frame: bytes, syntax: str, pixels: ImagePixels) -> Decoded:
        """As `frame_decoding.decode`, which is called here for what needs no codec.

        Raises Unconvertible, also when the codec takes more memory or time than such a frame can need, and Unavailable
        when no process can be started.
        """
        if syntax in _WITHOUT_CODEC:
            return decode(frame, syntax, pixels)
        check_source(pixels, syntax)
        limits = Limits(
            _MEMORY + len(frame) + codec_memory(pixels, syntax),
            _SECONDS + math.ceil(pixels.frame_bytes / _BYTES_A_SECOND),
        )
        answer = self._done(Message({"job": "decode", "syntax": syntax, "pixels": asdict(pixels)}, frame), limits)
        with _trusting_nothing():
            decoded = decoded_in(answer)
            if decoded.samples.shape[:2] != (pixels.rows, pixels.columns):
                raise ValueError
            return decoded

    def tables(self, header: bytes) -> Tables:
        """As `presentation.tables_of`. Raises Unconvertible and Unavailable."""
        limits = Limits(_TABLES_SPACE + tables_memory(len(header)), _TABLES_SECONDS)
        answer = self._done(Message({"job": "tables"}, header), limits)
        with _trusting_nothing():
            return tables_in(answer)

    def in_srgb(self, image: "Image", profile: bytes) -> tuple["Image", bytes]:
        """As `rendering.in_srgb`, for a picture in RGB. Raises Unconvertible and Unavailable."""
        import numpy as np
        from PIL import Image

        samples = np.asarray(image)
        limits = Limits(_MEMORY + 4 * samples.nbytes, _SECONDS + math.ceil(samples.nbytes / _BYTES_A_SECOND))
        job = Message({"job": "srgb", **described(samples), "profileAt": samples.nbytes}, samples.tobytes() + profile)
        answer = self._done(job, limits)
        with _trusting_nothing():
            at = int(answer.head["profileAt"])
            body = memoryview(answer.body)
            converted = array(Message(answer.head, body[:at]))
            if converted.shape != samples.shape:
                raise ValueError
            return Image.fromarray(converted), bytes(body[at:])

    def _done(self, job: Message, limits: Limits) -> Message:
        digest = hashlib.sha256(job.body).digest() if self._refused else b""
        if digest in self._refused:
            raise Unconvertible(_FAILED)
        with self._lock:
            process = self._idle.pop() if self._idle else None
        if process is None or not process.alive:
            process = _Process(self._module)
        try:
            answer = process.answer(job, limits)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            process.end()
            telemetry.event("codec-process-ended", job=job.head["job"], reason=type(error).__name__)
            with self._lock:
                self._refused[digest or hashlib.sha256(job.body).digest()] = None
                while len(self._refused) > _REFUSED:
                    self._refused.popitem(last=False)
            raise Unconvertible(_FAILED) from None
        except BaseException:
            process.end()
            raise
        if process.jobs < _JOBS_PER_PROCESS:
            with self._lock:
                self._idle.append(process)
        else:
            process.end()
        if "refused" in answer.head:
            raise Unconvertible(str(answer.head["refused"]))
        return answer


def tables_memory(length: int) -> int:
    """Bytes that looking for the tables in a header of `length` bytes takes in a codec process."""
    return min(_TABLES_RATIO * length, _TABLES_MEMORY)


def _end(processes: "list[_Process]") -> None:
    while processes:
        processes.pop().end()


@contextlib.contextmanager
def _trusting_nothing() -> Iterator[None]:
    """An answer that is none counts as a failure: it comes from a process that has read hostile bytes."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unconvertible(_FAILED) from None


class _Process:
    """One codec process and the pipes to it."""

    def __init__(self, module: str) -> None:
        """Raises Unavailable."""
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        environment |= {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}  # noqa: PTH109 - text
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        job_end, self._jobs = os.pipe()
        self._answers, answer_end = os.pipe()
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own module, on our own interpreter
                [sys.executable, "-m", module],
                stdin=job_end,
                stdout=answer_end,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        except OSError as error:
            self._close_pipes()
            raise _not_started(error) from None
        finally:
            os.close(job_end)
            os.close(answer_end)
        self.jobs = 0
        for pipe in (self._jobs, self._answers):
            os.set_blocking(pipe, False)
            _widen(pipe)
        try:
            received(lambda size: self._read(size, time.monotonic() + _START_SECONDS))
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            self.end()
            raise _not_started(error) from None

    @property
    def alive(self) -> bool:
        """Whether the process can be given another job."""
        return self._child.poll() is None

    def answer(self, job: Message, limits: Limits) -> Message:
        """Raises OSError, EOFError, ValueError or TimeoutError, after which the process is of no use."""
        until = time.monotonic() + _PATIENCE * limits.seconds
        self.jobs += 1
        head = {**job.head, "memory": limits.memory, "seconds": limits.seconds}
        for piece in packed(Message(head, job.body)):
            self._write(memoryview(piece), until)
        return received(lambda size: self._read(size, until))

    def end(self) -> None:
        """End the process at once."""
        self._child.kill()
        self._child.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        os.close(self._jobs)
        os.close(self._answers)

    def _write(self, data: memoryview, until: float) -> None:
        while data:
            _wait(self._jobs, select.POLLOUT, until)
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._jobs, data) :]

    def _read(self, size: int, until: float) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            _wait(self._answers, select.POLLIN, until)
            try:
                count = os.readv(self._answers, [rest])
            except BlockingIOError:
                continue
            if count == 0:
                raise EOFError
            rest = rest[count:]
        return data


def _not_started(error: Exception) -> Unavailable:
    telemetry.failure("codec-process-not-started", error)
    return Unavailable("Pixels cannot be converted at present.")


def _wait(pipe: int, event: int, until: float) -> None:
    poll = select.poll()
    poll.register(pipe, event)
    left = until - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError


def _widen(pipe: int) -> None:
    """Fewer turns between the two processes for each frame, where the system allows it."""
    import fcntl

    widen: Any = getattr(fcntl, "F_SETPIPE_SZ", None)
    if widen is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, widen, _PIPE_BYTES)
