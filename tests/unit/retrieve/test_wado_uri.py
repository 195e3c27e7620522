"""WADO-URI: what a query asks for, and that the handlers of WADO-RS answer it."""

import io
from urllib.parse import urlencode

import pytest
from PIL import Image as Picture

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotAcceptable
from shared.http.messages import Request
from shared.retrieve.wado_uri import parse_uri_request
from tests.builders import datasets
from tests.builders.http import content, field
from tests.builders.images import ELE, RLE, Image, image, new_uid

pytestmark = pytest.mark.spec("URI-1", "W-8")

DICOM = "application/dicom"


def query(one=None, **changes):
    identifier = one.identifier if one else InstanceIdentifier("1.2", "1.2.3", "1.2.3.4")
    parameters = {
        "requestType": "WADO",
        "studyUID": identifier.study_instance_uid,
        "seriesUID": identifier.series_instance_uid,
        "objectUID": identifier.sop_instance_uid,
        **changes,
    }
    return urlencode({name: value for name, value in parameters.items() if value is not None})


def grey(rows=8, columns=6, frames=1, syntax=ELE):
    """An image that can be decoded: a ramp."""
    identifier = InstanceIdentifier(new_uid(), new_uid(), new_uid())
    dataset = datasets.attributes(
        StudyInstanceUID=identifier.study_instance_uid,
        SeriesInstanceUID=identifier.series_instance_uid,
        SOPInstanceUID=identifier.sop_instance_uid,
    )
    datasets.set_pixels(dataset, rows=rows, columns=columns, frames=frames)
    return Image(identifier, syntax, datasets.part10(dataset, syntax))


def parsed(text):
    return parse_uri_request(Request("GET", "https", "", "/wado", text), ApiVersion.V2)


async def ask(service, one, **changes):
    response = await service.get(f"wado?{query(one, **changes)}")
    return response, await content(response)


async def picture(service, one, **changes):
    response, body = await ask(service, one, **changes)
    assert response.status == 200, body
    return Picture.open(io.BytesIO(body))


async def test_a_file_is_retrieved_in_the_transfer_syntax_that_is_asked_for(service):
    stored, noise = image(frames=2), image(syntax=RLE)
    await service.archive.store(stored, noise)
    response, body = await ask(service, stored, contentType=DICOM)
    assert (response.status, body) == (200, stored.data)
    assert field(response, "Content-Type") == f"{DICOM}; transfer-syntax={ELE}"
    assert field(response, "ETag") is not None
    response, body = await ask(service, noise, contentType=DICOM, transferSyntax="*")
    assert (response.status, body) == (200, noise.data)
    response, _ = await ask(service, noise, contentType=DICOM, transferSyntax=RLE)
    assert field(response, "Content-Type") == f"{DICOM}; transfer-syntax={RLE}"
    response, _ = await ask(service, stored, contentType=DICOM, transferSyntax="1.2.840.10008.1.2.4.100")
    assert response.status == 406


async def test_accept_does_not_matter_because_the_query_says_it(service):
    one = image()
    await service.archive.store(one)
    response = await service.get(f"wado?{query(one, contentType=DICOM)}", 'multipart/related; type="image/jls"')
    assert (response.status, await content(response)) == (200, one.data)


async def test_a_picture_is_a_jpeg_unless_it_is_to_be_something_else(service):
    one = grey()
    await service.archive.store(one)
    response, _ = await ask(service, one)
    assert field(response, "Content-Type") == "image/jpeg"
    for wanted, sent in (("image/png", "PNG"), ("text/html, image/png", "PNG"), ("image/*", "JPEG")):
        found = await picture(service, one, contentType=wanted)
        assert (found.format, found.size) == (sent, (6, 8))


async def test_a_frame_is_pictured(service):
    one = grey(frames=3)
    await service.archive.store(one)
    png = {"contentType": "image/png", "windowCenter": 128, "windowWidth": 256}
    first, third = [(await picture(service, one, **png, frameNumber=n)) for n in (1, 3)]
    assert first.tobytes() == (await picture(service, one, **png)).tobytes()
    assert first.tobytes() != third.tobytes()
    assert (await ask(service, one, frameNumber=4))[0].status == 404
    assert (await ask(service, one, frameNumber=0))[0].status == 400
    assert (await ask(service, one, frameNumber="x"))[0].status == 400


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"rows": 80, "columns": 60}, (60, 80)),
        ({"rows": 16}, (12, 16)),
        ({"columns": 3}, (3, 4)),
        ({"region": "0,0,0.5,0.5"}, (3, 4)),
        ({"region": "0.5,0,1,1", "rows": 16}, (6, 16)),
    ],
)
async def test_rows_columns_and_region_make_the_size(service, changes, size):
    one = grey()
    await service.archive.store(one)
    assert (await picture(service, one, contentType="image/png", **changes)).size == size


async def test_a_region_is_cut_out_and_a_window_applied(service):
    one = grey()
    await service.archive.store(one)
    whole = await picture(service, one, contentType="image/png", windowCenter=128, windowWidth=256)
    part = await picture(
        service, one, contentType="image/png", windowCenter=128, windowWidth=256, region="0.5,0.25,1,0.75"
    )
    assert part.tobytes() == whole.crop((3, 2, 6, 6)).tobytes()
    narrow = await picture(service, one, contentType="image/png", windowCenter=24, windowWidth=1)
    assert set(narrow.tobytes()) == {0, 255}


async def test_what_does_not_exist_is_not_found(service):
    await service.archive.store(grey())
    for changes in ({}, {"contentType": DICOM}, {"region": "0,0,1,1"}):
        assert (await ask(service, grey(), **changes))[0].status == 404
    empty = image(frames=0)
    await service.archive.store(empty)
    assert (await ask(service, empty, region="0,0,1,1"))[0].status == 404


async def test_a_query_that_cannot_be_read_is_refused_before_anything_is_looked_up(service):
    weak = (("Authorization", "Bearer delete"),)
    assert await service.status(f"wado?{query(requestType=None)}", credentials=weak) == 400
    assert await service.status(f"wado?{query()}", credentials=weak) == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"requestType": None},
        {"requestType": "WADO2"},
        {"studyUID": None},
        {"seriesUID": ""},
        {"objectUID": "abc"},
        {"anonymize": "yes"},
        {"presentationUID": "1.2"},
        {"transferSyntax": "*"},
        {"contentType": DICOM, "frameNumber": "1"},
        {"contentType": DICOM, "transferSyntax": 'x"y'},
        {"rows": "0"},
        {"rows": "1.5"},
        {"columns": "99999"},
        {"region": "0,0,1"},
        {"region": "0,0,2,1"},
        {"region": "0.5,0,0.5,1"},
        {"region": "-1,0,1,1"},
        {"windowCenter": "1"},
        {"windowWidth": "1"},
    ],
)
def test_a_query_that_breaks_the_rules_is_refused(changes):
    with pytest.raises(InvalidRequest):
        parsed(query(**changes))


def test_a_parameter_that_contradicts_itself_is_refused():
    with pytest.raises(InvalidRequest):
        parsed(query() + "&STUDYUID=1.3")


def test_an_unknown_type_is_not_acceptable():
    with pytest.raises(NotAcceptable):
        parsed(query(contentType="text/html"))


def test_names_of_parameters_may_be_written_in_any_case():
    assert parsed(query().lower().replace("=wado", "=WADO")) == parsed(query())
