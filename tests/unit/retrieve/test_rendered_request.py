"""The parameters of rendered resources, and the negotiation of their form."""

import pytest

from shared.dicom.pixels.presentation import Window
from shared.dicom.pixels.rendering import Viewport
from shared.dicomweb.content_negotiation import parse_accept
from shared.errors import InvalidRequest, NotAcceptable
from shared.retrieve.rendered.request import (
    RenderingOptions,
    Representation,
    check_types,
    negotiate,
    rendering_options,
    thumbnail,
)


@pytest.mark.spec("REND-4")
@pytest.mark.parametrize("value", ["a", "1.5", "", "1e2", "%20"])
def test_a_quality_that_is_no_integer_is_refused_first(value):
    with pytest.raises(InvalidRequest):
        check_types(f"quality={value}")


@pytest.mark.spec("REND-4")
def test_quality_is_from_1_to_100_and_100_by_default():
    assert rendering_options("") == RenderingOptions(quality=100)
    assert [rendering_options(f"quality={n}").quality for n in (1, 73, 100)] == [1, 73, 100]
    for value in ("0", "-1", "101", "999999999"):
        check_types(f"quality={value}")
        with pytest.raises(InvalidRequest):
            rendering_options(f"quality={value}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("256,256", Viewport(256, 256)),
        ("256%2C128", Viewport(256, 128)),
        ("10,20,,,,", Viewport(10, 20)),
        ("10,20,1,2,3,4", Viewport(10, 20, (1, 2, 3, 4))),
        ("10,20,1.5,.5,-3,4", Viewport(10, 20, (1.5, 0.5, 3, 4), flip_horizontally=True)),
        ("10,20,,,30,-40", Viewport(10, 20, (0, 0, 30, 40), flip_vertically=True)),
        ("10,20,5,6,,", Viewport(10, 20, (5, 6, None, None))),
    ],
)
def test_viewports_are_read(text, expected):
    assert rendering_options(f"viewport={text}").viewport == expected
    assert thumbnail(f"viewport={text}").viewport == expected


@pytest.mark.parametrize(
    "text",
    ["", "1", "1,2,3", "a,b", "0,5", "5,-5", "1.5,2", ",5", "1,2,3,4,5,6,7", "99999,1", "16384,16384", "1,2,0,0,0,5",
     "1,2,-1,0,5,5", "1,2,nan,0,5,5", "1,2,0,0,inf,5"],
)  # fmt: skip  # one list
def test_malformed_viewports_are_refused(text):
    with pytest.raises(InvalidRequest):
        rendering_options(f"viewport={text}")


@pytest.mark.spec("W-16")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("40,400,linear", Window(40, 400, "LINEAR")),
        ("-600.5,1e3,LINEAR-EXACT", Window(-600.5, 1000, "LINEAR_EXACT")),
        ("0,.5,sigmoid", Window(0, 0.5, "SIGMOID")),
    ],
)
def test_windows_are_read(text, expected):
    assert rendering_options(f"window={text}").window == expected


@pytest.mark.spec("W-16")
@pytest.mark.parametrize(
    "text",
    ["", "40", "40,400", "40,400,cubic", "40,,linear", "40,0.5,linear", "40,0,sigmoid", "a,1,linear", "1,-5,sigmoid"],
)
def test_malformed_windows_are_refused(text):
    with pytest.raises(InvalidRequest):
        rendering_options(f"window={text}")


def test_what_is_unknown_has_no_effect_and_what_is_known_but_not_done_is_told():
    assert rendering_options("color=blue&patient=1&_=17") == RenderingOptions()
    assert rendering_options("annotation=patient,technique").ignored == ("annotation",)
    assert [rendering_options(f"iccprofile={name}").profile for name in ("no", "yes", "srgb")] == ["no", "yes", "srgb"]
    other = rendering_options("iccprofile=rommrgb&annotation=patient")
    assert (other.profile, other.ignored) == ("no", ("annotation", "iccprofile"))


def test_a_thumbnail_fits_128_pixels_and_takes_only_a_viewport():
    assert thumbnail("window=1,2,cubic&quality=a&annotation=patient").viewport == Viewport(128, 128)


BROWSER = "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.mark.spec("REND-1", "REND-2", "D-26")
@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/jpeg", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/gif", "image/gif"),
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        (BROWSER, "image/jpeg"),
        ("image/png, image/jpeg", "image/jpeg"),
        ("image/png, image/jpeg;q=0.5", "image/png"),
        ("image/jpeg;q=0, image/*", "image/png"),
        ("image/webp, image/gif", "image/gif"),
    ],
)
def test_one_image_is_of_the_type_that_is_wanted_most(accept, media_type):
    assert negotiate(parse_accept([accept]), 1) == Representation(media_type, multipart=False)


def test_a_multipart_that_is_wanted_more_is_sent_even_for_one_image():
    accept = parse_accept(["multipart/related; type=image/png;q=0.5, image/jpeg;q=0.4, */*;q=0.1"])
    assert negotiate(accept, 1) == Representation("image/png", multipart=True)


@pytest.mark.spec("REND-2")
@pytest.mark.parametrize("accept", ["image/webp", "application/dicom", "text/html", "image/jpeg;q=0", "application/*"])
def test_other_types_are_not_acceptable(accept):
    with pytest.raises(NotAcceptable):
        negotiate(parse_accept([accept]), 1)


@pytest.mark.spec("FRM-4")
def test_several_images_need_a_multipart():
    assert negotiate(parse_accept(["*/*"]), 3) == Representation("image/jpeg", multipart=True)
    assert negotiate(parse_accept(['multipart/related; type="image/png"']), 3) == Representation(
        "image/png", multipart=True
    )
    with pytest.raises(InvalidRequest):
        negotiate(parse_accept(["image/jpeg"]), 3)
    assert negotiate(parse_accept(['multipart/related; type="image/jpeg"']), None) == Representation(
        "image/jpeg", multipart=True
    )
    assert negotiate(parse_accept(["*/*"]), None) == Representation("image/jpeg", multipart=False)
