import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicomweb.query_parameters import parse_query
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.index_schema.indexed_attributes import IndexedAttribute
from shared.index_schema.schema import BUILT_IN, IndexSchema
from shared.index_schema.study_lists import StudyOrder
from shared.search.attributes import SEARCH_LEVELS
from shared.search.request import SearchQuery, parse_search

V1, V2 = ApiVersion.V1, ApiVersion.V2
ROUTES = {
    "search_study_series": {"study": "1.2"},
    "search_study_instances": {"study": "1.2"},
    "search_series_instances": {"study": "1.2", "series": "1.3"},
}


def read(query: str = "", resource: str = "search_studies", version: ApiVersion = V2, schema=BUILT_IN) -> SearchQuery:
    return parse_search(resource, ROUTES.get(resource, {}), parse_query(query), version, schema)


def refusal(query: str, resource: str = "search_studies", **options) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read(query, resource, **options)
    return str(caught.value)


@pytest.mark.spec("QIDO-10")
@pytest.mark.parametrize("name", ["PatientName", "00100010"])
def test_attributes_are_named_by_keyword_or_hex(name):
    assert [item.key for item in read(f"{name}=x").filters] == ["00100010"]


@pytest.mark.spec("QIDO-10")
def test_hex_digits_may_be_in_either_case():
    assert read("0020000d=1.2").filters[0].key == "0020000D"


@pytest.mark.spec("QIDO-11")
@pytest.mark.parametrize(
    "name", ["patientname", "PatientNam", "Foo", "00109999", "0010001", "faceb00c", "=1", "_", "foo.bar", "x%20y"]
)
def test_an_unknown_name_is_refused(name):
    assert "is invalid. It names no attribute" in refusal(f"{name}=1")


@pytest.mark.spec("QIDO-11", "D-27")
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Patientname", "PatientName"),
        ("patientid", "PatientID"),
        ("PatientNam", "PatientName"),
        ("patientNames", "PatientName"),
        ("Patient%20Name", "PatientName"),
        ("StudyInstanceUid", "StudyInstanceUID"),
        ("modality", "Modality"),
        ("modalitiesinstudy", "ModalitiesInStudy"),
        ("bodypartexamined", "BodyPartExamined"),
        ("BodyPartExamind", "BodyPartExamined"),
        ("requestAttributesSequence.RequestedProcedureId", "RequestAttributesSequence.RequestedProcedureID"),
    ],
)
def test_a_misspelt_attribute_is_refused_with_the_keyword_that_was_meant(name, meant):
    assert refusal(f"{name}=1").endswith(f" Did you mean {meant}?")


@pytest.mark.spec("QIDO-34")
def test_a_misspelt_field_is_refused_with_the_keyword_that_was_meant():
    assert refusal("includefield=Row").endswith(" Did you mean Rows?")


@pytest.mark.spec("QIDO-11")
@pytest.mark.parametrize("name", ["Xyzzy", "Q" * 5000, "Foo.Bar", "Rows.Rows.Rows"])
def test_nothing_is_suggested_for_what_resembles_no_keyword(name):
    assert "Did you mean" not in refusal(f"{name}=1")


@pytest.mark.spec("D-27")
def test_parameters_of_other_services_are_ignored_and_named():
    query = read("includedefaults=false&onlyWithStudies=true&PatientID=a")

    assert [item.key for item in query.filters] == ["00100020"]
    assert query.ignored == ("includedefaults", "onlyWithStudies")


@pytest.mark.spec("QIDO-53")
def test_studies_are_asked_for_in_an_order():
    assert read("").order is StudyOrder.STORED
    assert read("orderby=-StudyDate").order is StudyOrder.LATEST_FIRST
    assert read("ORDERBY=StudyDate").order is StudyOrder.EARLIEST_FIRST
    assert read("orderby=StudyDate").ignored == ()


@pytest.mark.spec("QIDO-53")
@pytest.mark.parametrize("value", ["-PatientName", "", "stored", "-studydate"])
def test_another_order_is_ignored_and_named(value):
    query = read(f"orderby={value}&PatientID=a")
    assert (query.order, query.ignored) == (StudyOrder.STORED, ("orderby",))


@pytest.mark.spec("QIDO-53")
def test_results_below_studies_have_no_other_order():
    query = read("orderby=-StudyDate", "search_series")
    assert (query.order, query.ignored) == (StudyOrder.STORED, ("orderby",))


@pytest.mark.spec("QIDO-53")
def test_a_setting_says_the_order_of_studies_that_nobody_asks_for():
    latest = StudyOrder.LATEST_FIRST
    for text, expected in (("", latest), ("orderby=StudyDate", StudyOrder.EARLIEST_FIRST), ("orderby=x", latest)):
        query = parse_search("search_studies", {}, parse_query(text), ApiVersion.V2, BUILT_IN, study_order=latest)
        assert query.order is expected
    query = parse_search("search_instances", {}, parse_query(""), ApiVersion.V2, BUILT_IN, study_order=latest)
    assert query.order is StudyOrder.STORED


@pytest.mark.spec("D-27")
def test_the_number_of_ignored_parameters_is_bounded():
    assert len(read("&".join(f"zz{number}=1" for number in range(50))).ignored) == 50
    assert "more than 50 parameters" in refusal("&".join(f"zz{number}=1" for number in range(51)))


@pytest.mark.spec("QIDO-12", "QIDO-37", "QIDO-50")
@pytest.mark.parametrize(
    ("query", "resource"),
    [
        ("Modality=CT", "search_studies"),
        ("SOPInstanceUID=1", "search_studies"),
        ("SOPInstanceUID=1", "search_series"),
        ("PatientName=x", "search_study_series"),
        ("StudyInstanceUID=1", "search_study_series"),
        ("ModalitiesInStudy=CT", "search_study_series"),
        ("PatientName=x", "search_study_instances"),
        ("SeriesInstanceUID=1", "search_series_instances"),
        ("Modality=CT", "search_series_instances"),
        ("TimezoneOffsetFromUTC=0", "search_instances"),
        ("PatientSex=F", "search_instances"),
        ("NumberOfStudyRelatedInstances=1", "search_studies"),
        ("NumberOfSeriesRelatedInstances=1", "search_series"),
        ("00091001=x", "search_instances"),
        ("SpecificCharacterSet=x", "search_instances"),
    ],
)
def test_what_cannot_be_searched_at_a_resource_is_refused(query, resource):
    assert "not queryable at this resource. " in refusal(query, resource)


@pytest.mark.spec("QIDO-12")
def test_a_refusal_names_what_can_be_searched_instead():
    text = refusal("PatientAge=010Y")

    assert text == (
        "The query parameter 'PatientAge' is invalid. The attribute is not queryable at this resource. Queryable here: "
        "AccessionNumber, ModalitiesInStudy, PatientBirthDate, PatientID, PatientName, ReferringPhysicianName, "
        "StudyDate, StudyDescription, StudyID, StudyInstanceUID, StudyTime."
    )
    assert " Use ModalitiesInStudy. " in refusal("Modality=CT")
    assert " Use ModalitiesInStudy. " not in refusal("Modality=CT", "search_series_instances")
    assert "RequestAttributesSequence.RequestedProcedureID" in refusal("PatientAge=010Y", "search_series")


@pytest.mark.spec("QIDO-12")
@pytest.mark.parametrize(
    ("name", "helps"),
    [
        ("PatientAge", True),
        ("BodyPartExamined", True),
        ("00400555.PatientSex", True),
        ("Modality", False),
        ("SeriesInstanceUID", False),
        ("NumberOfStudyRelatedInstances", False),
        ("SliceThickness", False),
        ("00091001", False),
    ],
)
def test_a_refusal_tells_of_extended_query_tags_where_they_help(name, helps):
    with pytest.raises(InvalidRequest) as refused:
        read(f"{name}=1", "search_studies")
    assert ("POST extendedquerytags" in refused.value.remedy) is helps


@pytest.mark.spec("QIDO-12")
@pytest.mark.parametrize("resource", SEARCH_LEVELS)
def test_every_level_of_a_resource_can_be_searched(resource):
    values = {"DA": "20200101", "TM": "10", "IS": "1", "UI": "1.2"}
    for attribute in BUILT_IN.searchable.values():
        query = f"{attribute.key}={values.get(attribute.vr, 'x')}"
        if attribute.level in SEARCH_LEVELS[resource]:
            assert read(query, resource).filters[0].key == attribute.key
        else:
            refusal(query, resource)


@pytest.mark.spec("QIDO-13")
@pytest.mark.parametrize("query", ["PatientID=a&PatientID=a", "PatientID=a&00100020=b"])
def test_an_attribute_given_twice_is_refused(query):
    assert "more than once" in refusal(query)


@pytest.mark.spec("QIDO-14")
@pytest.mark.parametrize("value", ["", "%20", "%00", "+"])
def test_a_key_without_value_is_refused(value):
    assert refusal(f"PatientName={value}") == "The query parameter 'PatientName' is invalid. It has no value."


@pytest.mark.spec("QIDO-15")
def test_attributes_of_request_attributes_are_named_by_dotted_paths():
    for path in ("00400275.00401001", "RequestAttributesSequence.RequestedProcedureID"):
        assert read(f"{path}=x", "search_series").filters[0].key == "00400275.00401001"
    refusal("00400275.00400008.00080100=x", "search_series")
    refusal("00400275.00080060=x", "search_series")
    refusal("RequestedProcedureID=x", "search_series")


@pytest.mark.spec("QIDO-3")
def test_uids_of_the_path_say_where_is_searched_and_those_searched_for_must_be_uids_too():
    query = read("SOPInstanceUID=1.4", "search_series_instances")

    assert (query.study, query.series) == ("1.2", "1.3")
    assert "It is not a UID" in refusal("SOPInstanceUID=nonsense", "search_series_instances")


@pytest.mark.spec("MATCH-1", "MATCH-6")
@pytest.mark.parametrize("query", ["StudyDate=2020-01-02", "StudyDate=-", "PatientName=a%22&fuzzymatching=true"])
def test_a_value_that_cannot_be_matched_is_refused_without_quoting_it(query):
    text = refusal(query)

    assert text.startswith(f"The query parameter '{query.split('=')[0]}' is invalid. ")
    assert "2020-01-02" not in text


@pytest.mark.spec("ERR-5")
def test_a_name_in_a_refusal_is_cut():
    assert len(refusal("x" * 5000 + "=1")) < 400


# -------------------------------------------------------------------------------------------------- what is returned


@pytest.mark.spec("QIDO-30")
def test_attributes_searched_by_and_uids_of_the_path_are_returned():
    query = read("InstanceNumber=1&includefield=PatientSex", "search_series_instances")

    assert query.stored == {"00080018", "00200013", "00100040", "0020000D", "0020000E"}


@pytest.mark.spec("QIDO-30")
@pytest.mark.parametrize(
    ("resource", "version", "count"),
    [
        ("search_studies", V1, 13),
        ("search_studies", V2, 8),
        ("search_series", V1, 13 + 8 - 2),
        ("search_series", V2, 8 + 4),
        ("search_instances", V1, 13 + 8 + 10 - 2 - 3),
        ("search_instances", V2, 8 + 4 + 1),
        ("search_study_series", V2, 4 + 1),
        ("search_study_instances", V2, 4 + 1 + 1),
        ("search_series_instances", V2, 1 + 2),
    ],
)
def test_the_default_sets_of_a_resource_are_united(resource, version, count):
    assert len(read("", resource, version).stored) == count


@pytest.mark.spec("QIDO-32", "QIDO-33", "QIDO-35")
def test_all_is_the_same_in_every_version_and_holds_what_costs_nothing():
    query = read("includefield=all")

    assert read("includefield=all", version=V1).stored == query.stored
    assert {"00081030", "00101010", "001021B0", "00100040"} <= query.stored
    assert query.computed == {"00080061", "00080056", "00081190", "00201206", "00201208"}
    assert "00081090" in read("includefield=all", "search_series").stored


@pytest.mark.spec("QIDO-32")
def test_all_may_stand_beside_other_fields():
    assert "00280010" in read("includefield=all,Rows").stored


@pytest.mark.spec("QIDO-34")
def test_any_known_attribute_of_any_level_and_any_private_one_may_be_included():
    query = read("includefield=Modality&includefield=00091001,00400275.00401001")

    assert {"00080060", "00091001", "00400275.00401001"} <= query.stored


@pytest.mark.spec("QIDO-34", "QIDO-15")
@pytest.mark.parametrize("field", ["nonsense", "patientname", "00109999", "00400275.00400008.00080100", "", "a%20b"])
def test_an_unknown_field_cannot_be_included(field):
    assert refusal(f"includefield={field}").startswith("The query parameter 'IncludeField' is invalid. ")


@pytest.mark.spec("QIDO-34", "D-34")
def test_whoever_asks_for_the_modality_of_studies_gets_their_modalities_and_numbers_too():
    query = read("includefield=00081030%2C00080060")

    assert {"00081030", "00080060"} <= query.stored
    assert query.computed == {"00080061", "00201206", "00201208"}
    assert read("includefield=Modality", "search_series").computed == set()


def test_computed_attributes_are_returned_when_asked_for():
    query = read("includefield=ModalitiesInStudy,NumberOfStudyRelatedInstances,RetrieveURL,InstanceAvailability")

    assert query.computed == {"00080061", "00201208", "00081190", "00080056"}
    assert not query.computed & query.stored


def test_availability_of_the_v1_defaults_is_the_stored_one():
    query = read("", version=V1)

    assert "00080056" in query.stored
    assert "00080056" not in query.computed


@pytest.mark.spec("MATCH-8")
@pytest.mark.parametrize(
    ("resource", "version", "computed"),
    [
        ("search_studies", V1, True),
        ("search_studies", V2, True),
        ("search_series", V1, False),
        ("search_series", V2, True),
        ("search_instances", V2, False),
    ],
)
def test_modalities_in_study_can_be_searched_everywhere_and_are_computed_for_studies_and_v2_series(
    resource, version, computed
):
    query = read("ModalitiesInStudy=CT", resource, version)

    assert ("00080061" in query.computed) is computed


# ------------------------------------------------------------------------------------------- attributes beside our own


def test_what_the_schema_of_the_store_has_beside_its_first_attributes_can_be_searched():
    age = IndexedAttribute("00101010", "AS", "study", ("x1",), since=2)
    later = IndexSchema.of(2, [*BUILT_IN.attributes.values(), age])
    assert read("PatientAge=010Y", schema=later).filters[0].attribute == age
    assert "not queryable" in refusal("PatientAge=010Y")


@pytest.mark.spec("QIDO-12")
def test_a_refusal_tells_that_an_extended_query_tag_is_being_added():
    age = IndexedAttribute("x1", "AS", "study", ("x1",), path="00101010")
    with pytest.raises(InvalidRequest) as refused:
        read("PatientAge=010Y", schema=IndexSchema.of(1, [*BUILT_IN.attributes.values(), age]))
    assert "GET extendedquerytags/00101010" in refused.value.remedy


@given(st.text(max_size=40), st.sampled_from(sorted(SEARCH_LEVELS)))
@settings(max_examples=150)
def test_any_query_string_is_read_or_refused_as_invalid(query, resource):
    try:
        assert isinstance(read(query, resource), SearchQuery)
    except InvalidRequest:
        return
