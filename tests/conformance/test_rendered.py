"""WADO-RS over HTTP: rendered images and thumbnails (PS3.18 §10.4.1.1.3, §10.4.1.1.4)."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.builders.images import new_uid
from tests.builders.pictures import J2K_LOSSLESS, RLE, data_set, file, ramp
from tests.conformance.exchange import multipart_type, parts, several

FRAMES = np.stack([ramp(), ramp()[::-1], ramp() // 2])
BROWSER = "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


def shown(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture
def one(v2):
    image = file(data_set(FRAMES, frames=3, WindowCenter="128", WindowWidth="256"), RLE)
    v2.store(image)
    return image


@pytest.mark.spec("REND-1", "REND-3", "REND-7", "REND-9")
@pytest.mark.parametrize(("media_type", "tolerance"), [("image/png", 0), ("image/jpeg", 6), ("image/gif", 0)])
def test_an_instance_shows_its_first_frame_and_a_frame_itself(v1, v2, one, media_type, tolerance):
    for client in (v1, v2):
        for path, frame in ((one.path, 0), (f"{one.path}/frames/3", 2)):
            reply = client.get(f"{path}/rendered", media_type)
            assert (reply.status_code, reply.headers["Content-Type"]) == (200, media_type)
            assert np.abs(shown(reply.content).astype(int) - FRAMES[frame]).max() <= tolerance
    assert v2.get(f"{one.path}/rendered", None).headers["Content-Type"] == "image/jpeg"


@pytest.mark.spec("REND-2", "D-26", "ACC-6")
@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("rendered", "*/*", "image/jpeg"),
        ("rendered", "image/*", "image/jpeg"),
        ("rendered", "image/png, image/jpeg", "image/jpeg"),
        ("rendered", "image/jpeg;q=0.5, image/png", "image/png"),
        ("rendered?accept=image%2Fjpeg", "*/*", "image/jpeg"),
        ("rendered?accept=image%2Fpng", "image/jpeg", "image/png"),
        ("thumbnail?accept=image%2Fjpeg", "*/*", "image/jpeg"),
        ("thumbnail?accept=image/jpeg", BROWSER, "image/jpeg"),
        ("thumbnail", BROWSER, "image/jpeg"),
    ],
)
def test_what_viewers_and_browsers_send_is_understood(v2, one, path, accept, media_type):
    reply = v2.get(f"{one.path}/{path}", accept)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, media_type)


@pytest.mark.spec("REND-2")
@pytest.mark.parametrize("accept", ["application/dicom", "image/webp", "video/mp4", "text/html"])
def test_another_form_is_not_acceptable(v2, one, accept):
    assert v2.get(f"{one.path}/rendered", accept).status_code == 406


@pytest.mark.spec("REND-3", "REND-4", "REND-5")
def test_requests_that_cannot_be_answered(v2, one):
    bare = data_set(ramp())
    del bare.PixelData
    empty = file(bare)
    v2.store(empty)
    for query in (
        "quality=a",
        "quality=0",
        "quality=101",
        "quality=1.5",
        "viewport=1",
        "window=1,2",
        "window=1,2,cubic",
    ):
        for media_type in ("image/jpeg", "image/png"):
            assert v2.get(f"{one.path}/rendered?{query}", media_type).status_code == 400
    for frame, status in (("0", 400), ("-1", 400), ("a", 400), ("4", 404), ("1,4", 404)):
        assert v2.get(f"{one.path}/frames/{frame}/rendered").status_code == status
    assert v2.get(f"{empty.path}/rendered").status_code == 404
    assert v2.get(f"studies/{new_uid()}/rendered").status_code == 404
    assert v2.get(f"studies/{new_uid()}/series/1/instances/1/thumbnail").status_code == 404
    assert v2.get("studies/abc/rendered").status_code == 400


def test_a_client_librarys_query_shapes_the_picture(v2, one):
    query = "viewport=256%2C256&window=40%2C400%2Clinear&quality=80"
    reply = v2.get(f"{one.path}/rendered?{query}", "image/png")
    assert shown(reply.content).shape == (183, 256)
    region = v2.get(f"{one.path}/rendered?viewport=10,20,5,6,10,20", "image/png")
    assert np.array_equal(shown(region.content), FRAMES[0][6:26, 5:15])
    warned = v2.get(f"{one.path}/rendered?annotation=patient", "image/png")
    assert (warned.status_code, warned.headers["Warning"][:4]) == (200, "299 ")


def test_several_frames_are_a_multipart(v2, one):
    reply = v2.get(f"{one.path}/frames/3,1/rendered", several("image/png"))
    assert multipart_type(reply) == "image/png"
    found = parts(reply)
    assert [part.headers["content-type"] for part in found] == ["image/png", "image/png"]
    assert found[0].headers["content-location"].endswith(f"{one.path}/frames/3/rendered")
    assert [np.array_equal(shown(part.body), FRAMES[n]) for part, n in zip(found, (2, 0), strict=True)] == [True, True]
    assert v2.get(f"{one.path}/frames/3,1/rendered", "image/png").status_code == 400


def test_a_study_and_a_series_have_one_picture_or_all_of_them(v2):
    study, series = new_uid(), new_uid()
    keywords = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "WindowCenter": "128", "WindowWidth": "256"}
    images = [
        file(data_set(np.full((64, 64), level, np.uint8), InstanceNumber=level, **keywords), J2K_LOSSLESS)
        for level in (30, 10, 20)
    ]
    v2.store(*images)
    for path in (f"studies/{study}", f"studies/{study}/series/{series}"):
        assert (shown(v2.get(f"{path}/rendered", "image/png").content) == 20).all()
        assert (shown(v2.get(f"{path}/thumbnail", "image/png").content) == 20).all()
        found = parts(v2.get(f"{path}/rendered", several("image/png")))
        assert sorted(int(shown(part.body)[0, 0]) for part in found) == [10, 20, 30]


def test_thumbnails_are_small(v2, one):
    study = one.path.partition("/series/")[0]
    for path in (study, one.path.partition("/instances/")[0], one.path, f"{one.path}/frames/2"):
        reply = v2.get(f"{path}/thumbnail")
        assert reply.headers["Content-Type"] == "image/jpeg"
        assert shown(reply.content).shape == (91, 128)
    assert shown(v2.get(f"{one.path}/thumbnail?viewport=32,32").content).shape == (23, 32)


def test_an_unchanged_picture_is_not_sent_again(v2, one):
    reply = v2.get(f"{one.path}/rendered", "image/png")
    again = v2.get(f"{one.path}/rendered", "image/png", If_None_Match=reply.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    head = v2.send("HEAD", f"{one.path}/rendered", "image/png")
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(reply.content)))
