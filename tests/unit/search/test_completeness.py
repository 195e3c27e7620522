import re
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.query_parameters import parse_query
from shared.dicomweb.versions import ApiVersion
from shared.index_schema.schema import BUILT_IN
from shared.index_search.limits import DEFAULT_LIMITS
from shared.search.attributes import SEARCH_LEVELS
from shared.search.request import SearchQuery, parse_search
from shared.search.result import SearchResult
from shared.search.verification import is_instance_match, is_match, matching_series
from tests.builders.archive import SMALL_LIMITS as SMALL
from tests.builders.archive import Archive

VERIFYING = replace(SMALL, verified_skips=100)

PATIENTS = ["P1", "P2", "P1\0", "Q"]
NAMES = ["Doe^John", "Doe^Jane", "Müller^Jörg", "Smith=スミス", "smith^john", ""]
DATES = ["20191231", "20200101", "20200115", "20210704", "20230101", ""]
DESCRIPTIONS = ["Chest", "chest ct", "Head", "Hand", "Heart", "Hip", ""]
MODALITIES = ["CT", "MR", "DX", ""]

KEYS = {
    "study": [
        "PatientID=P1",
        "PatientID=P*",
        "PatientID=*1",
        "PatientName=Doe%5EJohn",
        "PatientName=doe*",
        "PatientName=*j*",
        "PatientName=smith*",
        "PatientName=muller",
        "StudyDate=20200101",
        "StudyDate=20200101-20200131",
        "StudyDate=20200110-",
        "StudyDate=-20200101",
        "StudyDescription=chest",
        "StudyDescription=h*",
        "StudyDescription=*a*",
        "StudyDescription=c*&StudyDate=20200101-20211231",
        "ModalitiesInStudy=CT",
        "ModalitiesInStudy=MR,DX",
        "ModalitiesInStudy=%22%22",
        "StudyDescription=%22%22",
        "StudyInstanceUID=1.1,1.2,1.5",
    ],
    "series": ["Modality=CT", "Modality=MR,DX", "SeriesInstanceUID=1.1.1,1.2.2", "SeriesNumber=1"],
    "instance": ["InstanceNumber=2", "SOPInstanceUID=1.1.1.1,1.2.1.2"],
}

instances = st.fixed_dictionaries(
    {
        "study": st.integers(1, 9),
        "series": st.integers(1, 2),
        "instance": st.integers(1, 3),
        "PatientID": st.sampled_from(PATIENTS),
        "PatientName": st.sampled_from(NAMES),
        "StudyDate": st.sampled_from(DATES),
        "StudyDescription": st.sampled_from(DESCRIPTIONS),
        "Modality": st.sampled_from(MODALITIES),
        "SeriesNumber": st.sampled_from([1, 2]),
        "InstanceNumber": st.sampled_from([1, 2]),
    }
)


@st.composite
def searches(draw) -> tuple[str, str, dict[str, str]]:
    resource = draw(st.sampled_from(sorted(SEARCH_LEVELS)))
    chosen: dict[str, str] = {}
    for level in SEARCH_LEVELS[resource]:
        for key in draw(st.lists(st.sampled_from(KEYS[level]), max_size=2)):
            chosen.setdefault(key.partition("=")[0], key)
    names = [name for key in chosen.values() for name in re.findall(r"(\w+)=", key)]
    keys = list(chosen.values()) if len(set(names)) == len(names) else list(chosen.values())[:1]
    paging = [f"limit={draw(st.sampled_from([1, 2, 5, 200]))}", f"offset={draw(st.integers(0, 6))}"]
    fuzzy = ["fuzzymatching=true"] if draw(st.booleans()) else []
    route = {"study": "1.1", "series": "1.1.1"} if "series_instances" in resource else {}
    route = {"study": "1.1"} if "search_study" in resource else route
    return resource, "&".join([*keys, *paging, *fuzzy, "emptyvaluematching=true"]), route


async def by_looking_at_everything(archive: Archive, query: SearchQuery) -> list[str]:
    """The UIDs of all results, in order, found without the index."""
    studies = {row.partition_key.split("!")[1] for row in archive.tables.rows("dicom")}
    views = [view for study in studies if (view := await archive.lookup.study(archive.partition, study))]
    chosen = [view for view in views if query.study in (None, view.study_instance_uid) and is_match(view, query)]
    if query.level == "study":
        return [view.study_instance_uid for view in sorted(chosen, key=lambda view: view.sort_key)]
    series = [item for view in chosen for item in matching_series(view, query)]
    if query.level == "series":
        return [item.series_instance_uid for item in sorted(series, key=lambda item: item.sort_key)]
    below = {item.series_instance_uid for item in series}
    stored = [
        instance
        for view in chosen
        for instance in await archive.lookup.instances(
            archive.partition, ResourceIdentifier(view.study_instance_uid), metadata=False
        )
        if instance.identifier.series_instance_uid in below and is_instance_match(instance, query)
    ]
    return [item.identifier.sop_instance_uid for item in sorted(stored, key=lambda item: -item.version)]


def shown(result: SearchResult, query: SearchQuery) -> str:
    identifier = result.identifier
    return {
        "study": identifier.study_instance_uid,
        "series": identifier.series_instance_uid,
        "instance": identifier.sop_instance_uid,
    }[query.level]


@given(
    stored=st.lists(instances, min_size=1, max_size=14),
    deleted=st.lists(st.integers(0, 13), max_size=3),
    asked=st.lists(searches(), min_size=4, max_size=8),
    limits=st.sampled_from([DEFAULT_LIMITS, VERIFYING, replace(VERIFYING, few=0, sorted_rows=10_000, rows_beside=1)]),
    tables=st.sampled_from([{"shards": 1}, {"shards": 3, "page_limit": 2, "empty_page_every": 3}]),
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
async def test_a_search_finds_what_looking_at_everything_finds(stored, deleted, asked, limits, tables):
    archive = Archive(**tables)
    archive.limits = limits
    for values in stored:
        study = f"1.{values['study']}"
        series = f"{study}.{values['series']}"
        rest = {name: value for name, value in values.items() if name[0].isupper()}
        await archive.store(study, series, f"{series}.{values['instance']}", **rest)
    for position in deleted:
        if position < len(stored):
            await archive.delete(f"1.{stored[position]['study']}", f"1.{stored[position]['study']}.1")

    for resource, text, route in asked:
        query = parse_search(resource, route, parse_query(text), ApiVersion.V2, BUILT_IN)
        expected = await by_looking_at_everything(archive, query)

        page = await archive.page(text, resource, **route)
        found = [shown(result, query) for result in page.results]

        end = query.offset + query.limit
        if query.level == "study" or limits.sorted_rows > 1000:
            assert found == expected[query.offset : end], (resource, text)
        else:
            assert len(found) == len(expected[query.offset : end]), (resource, text)
            assert set(found) <= set(expected), (resource, text)
        assert page.more == (len(expected) > end), (resource, text)
