"""The resource table under the rule of the Functions host, which is modelled here without looking at `match`."""

import re

import pytest

from shared.dicomweb.resources import RESOURCES
from shared.dicomweb.routes import allowed_methods, match
from shared.dicomweb.service_resources import FALLBACK
from shared.dicomweb.versions import ApiVersion
from tests.builders.paths import example_path

BOTH = pytest.mark.parametrize("data_partitions", [False, True])
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


def templates(data_partitions: bool) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {row.name: (row.path(data_partitions=data_partitions), row.methods) for row in RESOURCES.values()}


def host(method: str, path: str, data_partitions: bool) -> str:
    """The function that the host calls: first match in the alphabetical order of the names, whatever the literals."""
    for name, (template, methods) in sorted(templates(data_partitions).items(), key=lambda item: item[0].upper()):
        pattern = "/".join(
            ".*" if part.startswith("{*") else "[^/]+" if part.startswith("{") else re.escape(part)
            for part in template.split("/")
        )
        if (not methods or method in methods) and re.fullmatch(pattern + "/?", path.lstrip("/"), re.IGNORECASE):
            return name
    raise AssertionError(f"no function for {method} {path}")


def example(template: str) -> str:
    return "/" + example_path(template)


@BOTH
@pytest.mark.parametrize("name", [name for name in RESOURCES if name != FALLBACK.name])
def test_no_template_swallows_another(name, data_partitions):
    template, methods = templates(data_partitions)[name]

    for method in methods:
        assert host(method, example(template), data_partitions) == name


@BOTH
@pytest.mark.parametrize(
    "path", ["/ui/studies", "/ui/", "/ui/0123456789abcdef/scripts/main.js", "/UI/changefeed/latest"]
)
def test_a_file_of_the_pages_is_no_resource_of_a_version(path, data_partitions):
    assert host("GET", path, data_partitions) == "browser_pages"


@BOTH
def test_the_fallback_takes_what_is_left_and_nothing_else(data_partitions):
    assert max(RESOURCES, key=str.upper) == FALLBACK.name
    for path in ("/", "/v2/nothing", "/studies", "/v2/studies/1/2", "/favicon.ico", "/v2/studies/1/series/2/instances"):
        method = "PATCH"
        assert host(method, path, data_partitions) == FALLBACK.name


@BOTH
@pytest.mark.parametrize("method", METHODS)
def test_match_agrees_with_the_host(method, data_partitions):
    paths = [example(template) for template, _ in templates(data_partitions).values() if "*" not in template]
    paths += ["/", "/v2", "/x/y/z", *(path.upper() + "/" for path in paths)]

    for path in paths:
        found = match(method, path, data_partitions=data_partitions)
        assert (found.resource.name if found else FALLBACK.name) == host(method, path, data_partitions), path


@pytest.mark.spec("URL-6")
@pytest.mark.parametrize("path", ["/v2/Studies/1.2/METADATA", "/v2/studies/1.2/metadata/", "v2/studies/1.2/metadata"])
def test_literals_ignore_case_and_a_trailing_slash(path):
    found = match("GET", path, data_partitions=False)

    assert found is not None
    assert (found.resource.name, found.route) == ("retrieve_study_metadata", {"version": "v2", "study": "1.2"})


@pytest.mark.spec("URL-6")
def test_values_keep_their_case_and_are_decoded_but_for_an_encoded_slash():
    found = match("GET", "/v2/partitions/Ward-A/studies/1.2%20/series/a%2Fb", data_partitions=True)

    assert found is not None
    assert found.route == {"version": "v2", "partition": "Ward-A", "study": "1.2 ", "series": "a%2Fb"}


@pytest.mark.spec("URL-11", "DEL-14", "PUT-5")
@pytest.mark.parametrize(
    ("path", "version", "allowed"),
    [
        ("/v2/studies", ApiVersion.V2, ("GET", "HEAD", "POST", "PUT")),
        ("/v1/studies", ApiVersion.V1, ("GET", "HEAD", "POST")),
        ("/v2/studies/1", ApiVersion.V2, ("DELETE", "GET", "HEAD", "POST", "PUT")),
        ("/v2/studies/1/series/2", ApiVersion.V2, ("DELETE", "GET", "HEAD")),
        ("/v2/studies/1/metadata", ApiVersion.V2, ("GET", "HEAD")),
        ("/v2", ApiVersion.V2, ("OPTIONS",)),
        ("/v2/nothing", ApiVersion.V2, ()),
        ("/health/check", None, ("GET", "HEAD")),
        ("/vx/studies", None, ()),
    ],
)
def test_the_methods_of_a_path_are_known(path, version, allowed):
    assert allowed_methods(path, data_partitions=False, version=version) == allowed


@pytest.mark.spec("URL-12")
def test_head_is_listed_wherever_get_is():
    assert {name for name, row in RESOURCES.items() if ("GET" in row.methods) != ("HEAD" in row.methods)} == set()


@pytest.mark.spec("PART-1", "PART-2", "URL-9")
def test_exactly_the_data_resources_take_a_partition():
    unpartitioned = {name for name, (template, _) in templates(True).items() if "{partition}" not in template}

    assert unpartitioned == {
        "list_partitions",
        "capabilities",
        "conformance",
        "openapi_yaml",
        "openapi_json",
        "change_feed",
        "change_feed_latest",
        "retrieve_operation",
        "rebuild_index",
        "list_operations",
        "add_extended_query_tags",
        "list_extended_query_tags",
        "list_extended_query_tag_errors",
        "retrieve_extended_query_tag",
        "update_extended_query_tag",
        "delete_extended_query_tag",
        "health_check",
        "health_check_of_version",
        "browser_pages",
        "let_in_notification_connection",
        "run_cohort",
        "list_cohorts",
        "translate_question",
        "retrieve_cohort",
        "retrieve_cohort_manifest",
        "delete_cohort",
        "export_cohort",
        "retrieve_timeline",
        "find_similar_patients",
        "retrieve_reader_feedback",
        "deliver_reader_feedback",
        "store_feedback",
        "retrieve_model_feedback",
        "zz_fallback",
    } | {name for name in RESOURCES if name.startswith("cast_")}
    assert not any("{partition}" in template for template, _ in templates(False).values())
    assert templates(True)["health_check"][0] == "health/check"


@pytest.mark.spec("PART-4")
def test_only_stores_create_partitions():
    creating = {"store_studies", "store_study", "create_workitem"}
    assert {name for name, row in RESOURCES.items() if row.create_partition} == creating


@pytest.mark.spec("HDR-9", "WK-6")
def test_actions_and_audit_names_go_together():
    rows = [row for row in RESOURCES.values() if row.action is not None]

    assert {(row.action, row.audit) for row in rows} == {
        ("read", "cast-read"),
        ("write", "cast-write"),
        ("read", "get-all-extended-query-tag"),
        ("read", "get-extended-query-tag"),
        ("read", "get-extended-query-tag-errors"),
        ("manageExtendedQueryTags", "add-extended-query-tag"),
        ("manageExtendedQueryTags", "update-extended-query-tag"),
        ("manageExtendedQueryTags", "remove-extended-query-tag"),
        ("write", "store"),
        ("write", "add-workitem"),
        ("read", "query-workitem"),
        ("read", "retrieve-workitem"),
        ("write", "update-workitem"),
        ("write", "change-state-workitem"),
        ("write", "cancel-workitem"),
        ("read", "subscribe-workitem"),
        ("read", "unsubscribe-workitem"),
        ("read", "suspend-workitem"),
        ("read", "open-notifications-workitem"),
        ("read", "retrieve"),
        ("read", "retrieve-metadata"),
        ("read", "retrieve-rendered"),
        ("read", "query"),
        ("delete", "delete"),
        ("export", "export"),
        ("read", "partition"),
        ("read", "retrieve-rendered"),
        ("write", "update-study"),
        ("write", "update-labels"),
        ("read", "retrieve-labels"),
        ("read", "list-labels"),
        ("read", "worklist-rule"),
        ("write", "worklist-rule"),
        ("write", "merge-patients"),
        ("delete", "erase-patient"),
        ("delete", "confirm-erasure"),
        ("manageRetention", "access-report"),
        ("manageRetention", "rebuild-index"),
        ("write", "move-study"),
        ("write", "revert-merge"),
        ("write", "revert-move"),
        ("read", "change-feed"),
        ("read", "operation"),
        ("read", "list-operations"),
        ("cohort", "cohort"),
        ("cohort", "cohort-export"),
        ("cohort", "similar-patients"),
        ("cohortIdentified", "timeline"),
        ("share", "add-share"),
        ("share", "list-shares"),
        ("share", "revoke-share"),
        ("read", "retrieve-share-ehr"),
        ("feedback", "feedback"),
    }
    assert all(row.audit is None for row in RESOURCES.values() if row.action is None)
