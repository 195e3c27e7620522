"""Answers of the whole service about one image, in every form that there is."""

import io
import json

import imagecodecs
import numpy as np
import pydicom
from PIL import Image as Picture

from tests.builders import pictures
from tests.builders.images import Image
from tests.builders.pictures import ELE, J2K_LOSSLESS, RLE

DICOM, JSON, PNG = "application/dicom", "application/dicom+json", "image/png"
DEFLATED_FRAMES, HTJ2K_LOSSLESS = "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.4.201"
JXL_LOSSLESS, JXL_RECOMPRESSION, JXL = (f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112))
OTHERS = (ELE, J2K_LOSSLESS, HTJ2K_LOSSLESS, RLE, JXL_LOSSLESS)
MPEG2, JPEG = "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.50"


def compressed(dataset, syntax, codestreams):
    """A file of a transfer syntax that pydicom does not know, made by way of one of the same length."""
    known = {DEFLATED_FRAMES: JPEG}.get(syntax, MPEG2)
    one = pictures.compressed(dataset, known, codestreams)
    length = len(known) + len(known) % 2
    data = one.data.replace(known.encode().ljust(length, b"\0"), syntax.encode().ljust(length, b"\0"), 1)
    return Image(one.identifier, syntax, data)


def grey(low, high, pixels):
    """Values from black to white, as the service shows them without a window."""
    return np.rint((pixels.astype(float) - low) * 255 / (high - low)).astype(np.uint8)


class Answers:
    """The answers about one image."""

    def __init__(self, service, one):
        self._service, self.one = service, one

    async def ask(self, path, accept, query=""):
        """The status and the bytes of an answer, which is never a failure, and of a refusal has a reason."""
        target = f"/v2/{self.one.path}{path}{query}" if not path.startswith("/wado") else f"/v2{path}{query}"
        answer, body = await self._service.ask("GET", target, [("Accept", accept)])
        assert answer.status in {200, 404, 406}, (path, answer.status, body)
        assert body, path
        return answer.status, body

    async def store(self):
        fields = [("Content-Type", DICOM), ("Accept", JSON)]
        answer, body = await self._service.ask("POST", "/v2/studies", fields, self.one.data)
        assert answer.status in {200, 202}, json.loads(body)
        assert (await self.ask("/metadata", JSON))[0] == 200
        assert (await self.ask("", f"{DICOM}; transfer-syntax=*"))[1] == self.one.data

    async def picture(self, path="/rendered", query=""):
        """The picture as an array; None: refused."""
        status, body = await self.ask(path, PNG, query)
        return np.asarray(Picture.open(io.BytesIO(body))) if status == 200 else None

    async def pictures(self, frame=1):
        """The same by each way that there is; all show the same."""
        uid = self.one.identifier
        wado = (
            f"?requestType=WADO&studyUID={uid.study_instance_uid}&seriesUID={uid.series_instance_uid}"
            f"&objectUID={uid.sop_instance_uid}&contentType=image/png&frameNumber={frame}"
        )
        shown = await self.picture(f"/frames/{frame}/rendered")
        others = [await self.picture("/wado", wado)]
        if frame == 1:
            others.append(await self.picture())
        for other in others:
            assert (shown is None) == (other is None)
            assert shown is None or np.array_equal(shown, other)
        thumbnail, _ = await self.ask("/thumbnail", "image/jpeg")
        assert (thumbnail == 200) == (shown is not None)
        return shown

    async def frame(self, number=1):
        """A frame as native bytes; None: refused."""
        status, body = await self.ask(f"/frames/{number}", f"application/octet-stream; transfer-syntax={ELE}")
        return body if status == 200 else None

    async def others(self, expected):
        """Each other syntax in which it can be had has the same pixels for pydicom. The syntaxes."""
        found = set()
        for syntax in OTHERS:
            status, body = await self.ask("", f"{DICOM}; transfer-syntax={syntax}")
            if status != 200:
                continue
            found.add(syntax)
            written = pydicom.dcmread(io.BytesIO(body))
            assert written.file_meta.TransferSyntaxUID == syntax
            if syntax not in {HTJ2K_LOSSLESS, JXL_LOSSLESS}:
                assert np.array_equal(written.pixel_array, expected), syntax
                continue
            frames = pydicom.encaps.generate_frames(
                written.PixelData, number_of_frames=written.get("NumberOfFrames", 1)
            )
            decode = imagecodecs.jpegxl_decode if syntax == JXL_LOSSLESS else imagecodecs.htj2k_decode
            each = expected if written.get("NumberOfFrames", 1) > 1 else [expected]
            for frame, wanted in zip(frames, each, strict=True):
                samples = decode(frame)
                assert np.array_equal(np.asarray(samples).astype(wanted.dtype), wanted), syntax
        return found
