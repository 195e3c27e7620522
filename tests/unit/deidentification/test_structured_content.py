import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO

from shared.deidentification.profile import Option, Profile
from shared.deidentification.report import Deed
from tests.builders import datasets
from tests.builders.deidentifying import BASIC, deidentified, leaked, with_report

CLEANED = Profile(frozenset({Option.STRUCTURE}))
SR = "1.2.840.10008.5.1.4.1.1.88.33"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content(kind: str, concept: Dataset, **values: object) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = "CONTAINS", kind, [concept]
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


FINDING = code("121071", "DCM", "Finding")


def report() -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = datasets.CT_IMAGE, "1.2.3.4"
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12.5", [code("mm", "UCUM", "mm")]
    dataset = datasets.attributes(SOPClassUID=SR, Modality="SR", VerificationFlag="UNVERIFIED", ValueType="CONTAINER")
    dataset.ContentSequence = [
        content("PNAME", code("121008", "DCM", "Person Observer Name"), PersonName="Zquxmorf^Wendelgard"),
        content("TEXT", FINDING, TextValue="Small nodule, seen by Dr Zquxmorf on 3.2.2024, Jane agrees"),
        content("DATE", code("121125", "DCM", "DateTime"), Date="20240131"),
        content("UIDREF", code("121012", "DCM", "Device Observer UID"), UID="1.2.3.4"),
        content("NUM", code("410668003", "SCT", "Length"), MeasuredValueSequence=[measured]),
        content("NUM", code("121033", "DCM", "Subject Age"), MeasuredValueSequence=[measured]),
        content("CODE", FINDING, ConceptCodeSequence=[code("Z-4711", "99ZQUXMORF", "Zquxmorf's sign")]),
        content(
            "CONTAINER",
            FINDING,
            ContinuityOfContent="SEPARATE",
            ContentSequence=[
                content("IMAGE", FINDING, ReferencedSOPSequence=[reference]),
                content("TEXT", FINDING, TextValue="Zquxmorf"),
            ],
        ),
    ]
    return dataset


PLANTED = ("Zquxmorf", "Wendelgard", "4711", "20240131")


@pytest.mark.spec("DEID-2", "DEID-3")
def test_without_the_option_a_report_keeps_its_references_and_no_content() -> None:
    data = deidentified(datasets.part10(report()))

    assert leaked(data, PLANTED) == []
    (container,) = dcmread(DicomBytesIO(data)).ContentSequence
    (image,) = container.ContentSequence
    assert (container.ValueType, image.ValueType) == ("CONTAINER", "IMAGE")
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID.startswith("2.25.")


@pytest.mark.spec("DEID-2", "DEID-5")
def test_with_the_option_every_item_stays_where_it_was_and_values_are_cleaned() -> None:
    data = deidentified(datasets.part10(report()), CLEANED)

    assert leaked(data, PLANTED) == []
    items = dcmread(DicomBytesIO(data)).ContentSequence
    kinds = ["PNAME", "TEXT", "DATE", "UIDREF", "NUM", "NUM", "CODE", "CONTAINER"]
    assert [item.ValueType for item in items] == kinds
    assert str(items[0].PersonName) == "REMOVED"
    assert items[1].TextValue == "Small nodule, seen by Dr *** on ***"
    assert items[2].Date == "19000101"
    assert items[4].MeasuredValueSequence[0].NumericValue == 12.5
    assert items[4].MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "mm"
    assert items[4].ConceptNameCodeSequence[0].CodeValue == "410668003"
    assert list(items[5].MeasuredValueSequence) == []
    assert items[6].ConceptCodeSequence[0].CodeValue == "REMOVED"
    assert [item.ValueType for item in items[7].ContentSequence] == ["IMAGE", "TEXT"]
    assert items[7].ContentSequence[1].TextValue == "REMOVED"


@pytest.mark.spec("DEID-2")
def test_graphic_annotations_draw_only_by_the_option_and_never_with_their_text() -> None:
    state = datasets.attributes(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1", Modality="PR")
    text, drawing, annotation = Dataset(), Dataset(), Dataset()
    text.UnformattedTextValue, text.AnchorPoint = "Zquxmorf", [1.0, 2.0]
    drawing.GraphicData, drawing.GraphicType, drawing.NumberOfGraphicPoints = [1.0, 2.0, 3.0, 4.0], "POLYLINE", 2
    annotation.GraphicLayer, annotation.TextObjectSequence = "LAYER1", [text]
    annotation.GraphicObjectSequence = [drawing]
    state.GraphicAnnotationSequence = [annotation]
    source = datasets.part10(state)

    plain, drawn = (deidentified(source, each) for each in (BASIC, Profile(frozenset({Option.GRAPHICS}))))

    assert leaked(plain + drawn, ("Zquxmorf",)) == []
    (undrawn,) = dcmread(DicomBytesIO(plain)).GraphicAnnotationSequence
    assert undrawn.dir() == ["GraphicLayer"]
    (kept,) = dcmread(DicomBytesIO(drawn)).GraphicAnnotationSequence
    assert kept.GraphicObjectSequence[0].GraphicData == [1.0, 2.0, 3.0, 4.0]
    assert kept.TextObjectSequence[0].UnformattedTextValue == "REMOVED"


@pytest.mark.spec("DEID-9")
def test_content_that_is_dropped_is_counted() -> None:
    result, _ = with_report(datasets.part10(report()))
    assert result.report.deeds["0040A730", Deed.CLEANED] == 8
