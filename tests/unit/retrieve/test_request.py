"""Which representation is sent: the tables of retrieve negotiation."""

import pytest

from shared.dicom.media_types import PIXEL_MEDIA_TYPES
from shared.dicomweb.content_negotiation import parse_accept
from shared.errors import InvalidRequest, NotAcceptable, NotFound
from shared.http.messages import Headers, Request
from shared.http.transaction import wants_original
from shared.retrieve.frames.request import allow_frames, check_frame_numbers, frame_numbers
from shared.retrieve.negotiation import RetrievedResource, choices, choose, choose_checked, nothing_found

ILE, ELE, DEFL, EBE = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
)
JPEG, JPEG_X, JPEG_LL, JLS, J2KL, J2K, HTJ2K, RLE, MPEG2 = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.100",
)


def sent(resource, accept, *stored):
    """'multipart|single media/type syntax…' of what is chosen for objects in the syntaxes `stored`."""
    choice, encodings = choose(choices(resource, parse_accept([accept])), stored)
    labels = sorted({f"{one.media_type} {one.transfer_syntax_uid}" for one in encodings.values()})
    return f"{'multipart' if choice.multipart else 'single'} {', '.join(labels)}"


DICOM, MULTI = "application/dicom", 'multipart/related; type="application/dicom"'


@pytest.mark.spec("WADO-5", "WADO-9", "WADO-11", "WADO-25", "D-18", "D-20", "D-39")
@pytest.mark.parametrize(
    ("accept", "stored", "expected"),
    [
        (DICOM, ELE, f"single {DICOM} {ELE}"),
        (f"{DICOM}; transfer-syntax=*", J2KL, f"single {DICOM} {J2KL}"),
        (f"{DICOM}; transfer-syntax=*", ILE, f"single {DICOM} {ILE}"),
        (f'{DICOM}; transfer-syntax="*"', EBE, f"single {DICOM} {EBE}"),
        (f"{DICOM}; transfer-syntax={J2KL}", J2KL, f"single {DICOM} {J2KL}"),
        (f"{DICOM}; transfer-syntax={MPEG2}", MPEG2, f"single {DICOM} {MPEG2}"),
        (f"{DICOM}; transfer-syntax={ILE}", ILE, f"single {DICOM} {ILE}"),
        (MULTI, ELE, f"multipart {DICOM} {ELE}"),
        (f"{MULTI}; transfer-syntax=*", JPEG, f"multipart {DICOM} {JPEG}"),
        ("multipart/related; type=application/dicom; transfer-syntax=*", RLE, f"multipart {DICOM} {RLE}"),
        ("*/*", HTJ2K, f"multipart {DICOM} {HTJ2K}"),
        ('multipart/related; type="*/*"', MPEG2, f"multipart {DICOM} {MPEG2}"),
        (f'multipart/related; type="*/*"; transfer-syntax={ELE}', ELE, f"multipart {DICOM} {ELE}"),
        ("multipart/related", JPEG, f"multipart {DICOM} {JPEG}"),
    ],
)
def test_an_instance_is_sent_in_the_accepted_form(accept, stored, expected):
    assert sent(RetrievedResource.INSTANCE, accept, stored) == expected


@pytest.mark.spec("WADO-7", "WADO-8", "WADO-11", "D-20")
@pytest.mark.parametrize(
    ("accept", "stored"),
    [
        ("application/octet-stream", ELE),
        ("application/dicom+json", ELE),
        ("image/jpeg", JPEG),
        ('multipart/related; type="application/octet-stream"', ELE),
        (DICOM, J2KL),
        (DICOM, ILE),
        (f"{DICOM}; transfer-syntax={J2KL}", ELE),
        (f"{DICOM}; transfer-syntax={MPEG2}", ELE),
        (f"{DICOM}; transfer-syntax={ILE}", ELE),
        (f"{DICOM}; transfer-syntax=*; q=0", ELE),
    ],
)
def test_an_instance_that_would_have_to_be_transcoded_or_relabelled_is_not_acceptable(accept, stored):
    with pytest.raises(NotAcceptable):
        sent(RetrievedResource.INSTANCE, accept, stored)


@pytest.mark.spec("D-17", "WADO-5", "D-19", "W-2")
@pytest.mark.parametrize(
    ("accept", "stored", "expected"),
    [
        ("*/*", (ELE, JPEG), f"multipart {DICOM} {ELE}, {DICOM} {JPEG}"),
        (MULTI, (ELE, ELE), f"multipart {DICOM} {ELE}"),
        (f"{MULTI}; transfer-syntax={J2KL}", (J2KL, J2KL), f"multipart {DICOM} {J2KL}"),
        (f"{MULTI}; transfer-syntax={JLS}", (JLS,), f"multipart {DICOM} {JLS}"),
        (f"{MULTI}; transfer-syntax=*", (ELE, MPEG2), f"multipart {DICOM} {ELE}, {DICOM} {MPEG2}"),
        (f"{DICOM}, {MULTI}; transfer-syntax=*; q=0.1", (RLE,), f"multipart {DICOM} {RLE}"),
    ],
)
def test_a_study_is_sent_when_every_instance_is_acceptable_as_stored(accept, stored, expected):
    assert sent(RetrievedResource.INSTANCES, accept, *stored) == expected


@pytest.mark.spec("WADO-8", "WADO-10", "D-19")
@pytest.mark.parametrize(
    ("accept", "stored"),
    [
        (DICOM, (ELE,)),
        (f"{DICOM}; transfer-syntax=*", (ELE,)),
        (MULTI, (ELE, MPEG2)),
        (f"{MULTI}; transfer-syntax={ELE}", (J2KL,)),
        ('multipart/related; type="application/octet-stream"', (ELE,)),
    ],
)
def test_a_study_with_an_instance_that_is_not_acceptable_is_refused_whole(accept, stored):
    with pytest.raises(NotAcceptable):
        sent(RetrievedResource.INSTANCES, accept, *stored)


OCTETS = "application/octet-stream"


def several(media_type, syntax=None):
    return f'multipart/related; type="{media_type}"' + (f"; transfer-syntax={syntax}" if syntax else "")


@pytest.mark.spec("FRM-6", "FRM-10", "W-10", "D-18", "D-22", "WADO-5")
@pytest.mark.parametrize(
    ("accept", "stored", "expected"),
    [
        (OCTETS, ELE, f"single {OCTETS} {ELE}"),
        (OCTETS, ILE, f"single {OCTETS} {ELE}"),
        (OCTETS, DEFL, f"single {OCTETS} {ELE}"),
        (OCTETS, EBE, f"single {OCTETS} {ELE}"),
        (f"{OCTETS}; transfer-syntax=*", ILE, f"single {OCTETS} {ILE}"),
        (f"{OCTETS}; transfer-syntax=*", JPEG, f"single {OCTETS} {JPEG}"),
        (f"{OCTETS}; transfer-syntax={JPEG}", JPEG, f"single {OCTETS} {JPEG}"),
        (several(OCTETS, "*"), HTJ2K, f"multipart {OCTETS} {HTJ2K}"),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", JLS, f"multipart {OCTETS} {JLS}"),
        (several(OCTETS, '"*"'), JLS, f"multipart {OCTETS} {JLS}"),
        (several(OCTETS), ELE, f"multipart {OCTETS} {ELE}"),
        ("*/*", ELE, f"multipart {OCTETS} {ELE}"),
        ("*/*", ILE, f"multipart {OCTETS} {ILE}"),
        ("*/*", JPEG, f"multipart image/jpeg {JPEG}"),
        (several("*/*"), J2K, f"multipart image/jp2 {J2K}"),
        (several("*/*"), RLE, f"multipart image/dicom-rle {RLE}"),
        (several("*/*"), MPEG2, f"multipart video/mpeg2 {MPEG2}"),
        (several("*/*", ELE), ILE, f"multipart {OCTETS} {ELE}"),
        (several("image/jp2"), J2KL, f"multipart image/jp2 {J2KL}"),
        (several("image/jp2", J2K), J2K, f"multipart image/jp2 {J2K}"),
        (several("image/jls", JLS), JLS, f"multipart image/jls {JLS}"),
        (several("image/jpeg"), JPEG, f"multipart image/jpeg {JPEG}"),
        (several("image/jpeg"), JPEG_X, f"multipart image/jpeg {JPEG_X}"),
        (several("video/mpeg2"), MPEG2, f"multipart video/mpeg2 {MPEG2}"),
        (f"{several('image/jls')}, {several(OCTETS)}", ELE, f"multipart {OCTETS} {ELE}"),
        (f"image/png, {several(OCTETS, '*')}", ELE, f"multipart {OCTETS} {ELE}"),
    ],
)
def test_frames_are_sent_under_the_label_that_was_accepted(accept, stored, expected):
    assert sent(RetrievedResource.FRAMES, accept, stored) == expected


@pytest.mark.spec("WADO-8", "FRM-10")
@pytest.mark.parametrize(
    ("accept", "stored"),
    [
        (several("image/jp2", "*"), J2KL),
        (DICOM, ELE),
        (several(DICOM, "*"), ELE),
        ("image/png", ELE),
        (several("image/jpeg", JLS), JLS),
        (several("image/jp2"), J2K),
        (several("image/jls"), JPEG),
        (several("image/jpeg"), ELE),
        (OCTETS, JPEG),
        (several(OCTETS, JPEG), ELE),
        (several("video/mpeg2"), ELE),
    ],
)
def test_frames_in_another_type_or_syntax_are_not_acceptable(accept, stored):
    with pytest.raises(NotAcceptable):
        sent(RetrievedResource.FRAMES, accept, stored)


@pytest.mark.spec("FRM-10")
def test_every_syntax_of_the_table_of_frames_is_answered_under_its_own_type():
    for media_type, syntaxes in PIXEL_MEDIA_TYPES.items():
        for syntax in syntaxes:
            expected = f"multipart {media_type} {syntax}"
            assert sent(RetrievedResource.FRAMES, several(media_type, syntax), syntax) == expected
            assert sent(RetrievedResource.FRAMES, "*/*", syntax) == expected


@pytest.mark.spec("WADO-3", "WADO-4")
@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (f"{DICOM}; transfer-syntax={ELE}, {MULTI}; transfer-syntax=*", f"multipart {DICOM} {ELE}"),
        (f"{MULTI}; transfer-syntax=*, {DICOM}; transfer-syntax={ELE}", f"multipart {DICOM} {ELE}"),
        (f"{DICOM}; q=0.5, {MULTI}; q=0.4; transfer-syntax=*", f"single {DICOM} {ELE}"),
        (f"{DICOM}; q=0.4, {MULTI}; q=0.5", f"multipart {DICOM} {ELE}"),
        (f"{DICOM}, {MULTI}", f"single {DICOM} {ELE}"),
        (f"image/png, {DICOM}; q=0.2", f"single {DICOM} {ELE}"),
    ],
)
def test_quality_decides_then_any_syntax_then_the_clients_order(accept, expected):
    assert sent(RetrievedResource.INSTANCE, accept, ELE) == expected


@pytest.mark.spec("W-10", "WADO-3")
@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (JPEG, f"multipart image/jpeg {JPEG}"),
        (JLS, f"multipart image/jls {JLS}"),
        (J2K, f"multipart image/jp2 {J2K}"),
        (ELE, f"multipart {OCTETS} {ELE}"),
        (HTJ2K, f"multipart {OCTETS} {HTJ2K}"),
    ],
)
def test_a_slide_viewers_list_gets_the_type_of_the_stored_syntax(stored, expected):
    accept = ", ".join(
        [
            *(several("image/jls", f"1.2.840.10008.1.2.4.{n}") for n in (80, 81)),
            *(several("image/jp2", f"1.2.840.10008.1.2.4.{n}") for n in (90, 91)),
            *(several("image/jpx", f"1.2.840.10008.1.2.4.{n}") for n in (92, 93)),
            several(OCTETS, "*"),
            several("image/jpeg", JPEG),
        ]
    )
    assert len(accept) > 600
    assert sent(RetrievedResource.FRAMES, accept, stored) == expected


@pytest.mark.spec("D-18")
def test_nothing_there_is_not_found_unless_only_an_unlisted_syntax_was_accepted():
    def error(resource, accept):
        return nothing_found(choices(resource, parse_accept([accept])), "instance")

    assert isinstance(error(RetrievedResource.INSTANCE, DICOM), NotFound)
    assert isinstance(error(RetrievedResource.INSTANCE, f"{DICOM}; transfer-syntax={J2KL}"), NotFound)
    assert isinstance(error(RetrievedResource.INSTANCE, f"{DICOM}; transfer-syntax={MPEG2}"), NotAcceptable)
    assert isinstance(error(RetrievedResource.INSTANCE, f"{DICOM}; transfer-syntax={MPEG2}, */*"), NotFound)
    assert isinstance(error(RetrievedResource.FRAMES, several(OCTETS, JPEG)), NotAcceptable)
    assert isinstance(error(RetrievedResource.FRAMES, several("image/jls")), NotFound)


def test_a_choice_names_the_syntax_that_a_transcoder_would_have_to_produce():
    def target(resource, accept):
        return choices(resource, parse_accept([accept]))[0].target

    assert target(RetrievedResource.INSTANCE, DICOM) == ELE
    assert target(RetrievedResource.INSTANCE, f"{DICOM}; transfer-syntax={J2KL}") == J2KL
    assert target(RetrievedResource.INSTANCE, f"{DICOM}; transfer-syntax={MPEG2}") is None
    assert target(RetrievedResource.INSTANCE, "*/*") is None
    assert target(RetrievedResource.FRAMES, several("image/jpeg")) == JPEG_LL
    assert target(RetrievedResource.FRAMES, several("video/mp4")) is None


@pytest.mark.spec("FRM-1")
@pytest.mark.parametrize("text", ["", ",", "1,", "1,,2", "a", "1.5", "1;2", "0x1", "１", "9999999999", "1 2", "--1"])
def test_a_frame_list_that_is_not_integers_is_refused(text):
    with pytest.raises(InvalidRequest):
        frame_numbers(text)


@pytest.mark.spec("FRM-1", "WADO-27")
def test_a_frame_list_keeps_order_and_repeats():
    assert frame_numbers("3,1,1, 2") == (3, 1, 1, 2)


@pytest.mark.spec("FRM-1")
@pytest.mark.parametrize("text", ["0", "-1", "1,0"])
def test_frames_are_counted_from_one(text):
    numbers = frame_numbers(text)
    with pytest.raises(InvalidRequest):
        check_frame_numbers(numbers)


@pytest.mark.spec("FRM-4")
def test_several_frames_need_a_multipart_answer():
    single = choices(RetrievedResource.FRAMES, parse_accept([OCTETS]))
    assert allow_frames(single, 1) == single
    with pytest.raises(InvalidRequest):
        allow_frames(single, 2)
    both = choices(RetrievedResource.FRAMES, parse_accept([f"{OCTETS}, {several(OCTETS)}"]))
    assert [choice.multipart for choice in allow_frames(both, 2)] == [True]


@pytest.mark.spec("WADO-32")
@pytest.mark.parametrize(("values", "original"), [(["True"], True), (["1"], False), ([], False)])
def test_only_true_asks_for_the_original(values, original):
    headers = Headers([("msdicom-request-original", value) for value in values])
    assert wants_original(Request("GET", "https", "", "/", headers=headers)) is original


@pytest.mark.spec("WADO-3", "WADO-4")
def test_what_is_accepted_again_with_another_quality_is_accepted_once():
    accept = parse_accept([", ".join(f"image/jls; q=0.{number:04}" for number in range(1, 3000))])
    [only] = choices(RetrievedResource.FRAMES, accept)
    assert only.quality == 0.2999
    both = choices(RetrievedResource.FRAMES, parse_accept([f"image/jls; q=0.5, {OCTETS}, image/jls, {OCTETS}; q=0.1"]))
    assert [(choice.media_type, choice.quality) for choice in both] == [(OCTETS, 1.0), ("image/jls", 1.0)]


@pytest.mark.spec("WADO-3")
async def test_a_conversion_that_is_not_possible_is_tried_once_however_often_it_is_accepted():
    tried = []

    async def check(choice):
        tried.append(choice.target)
        raise NotAcceptable("It is not possible.")

    accept = ", ".join(f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.4.90; q=0.{number:03}" for number in range(1, 700))
    accepted = choices(RetrievedResource.INSTANCE, parse_accept([accept]))
    with pytest.raises(NotAcceptable):
        await choose_checked(accepted, ["1.2.840.10008.1.2.1"], lambda _stored, _target: True, check)
    assert tried == ["1.2.840.10008.1.2.4.90"]
