"""A codec process that does not look at headers first: what is left when a codestream of a new kind slips through."""

import os
import sys
import time

from shared.codec_process import child
from shared.dicom.pixels import codestreams, jpeg_2000

codestreams._MAX_SCANS = 1 << 40
jpeg_2000._FREE_RECORDS = jpeg_2000._MAX_RECORDS = jpeg_2000._MAX_PACKETS = 1 << 60


def crash(_head, _job):
    os.abort()


def hang(_head, _job):
    time.sleep(3600)


def lie(_head, job):
    return child.Message({"type": "O", "shape": [1]}, job.body)


def look_around(_head, _job):
    found = sorted(name for name in os.environ if name not in {"PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"})
    return child.Message({"environment": found, "arguments": sys.argv[1:]})


child._JOBS = {**child._JOBS, "crash": crash, "hang": hang, "lie": lie, "environment": look_around}

if __name__ == "__main__":
    child.main()
