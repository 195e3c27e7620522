"""Worklist rules over HTTP: who may do what, and what is answered (AIX-2)."""

import pytest

from tests.builders.worklist_rules import NODULES, STUDY, RuleService, ask, chest, rule_boundary

pytestmark = pytest.mark.spec("AIX-2", "AIX-7", "AIX-9")


async def test_the_life_of_a_rule() -> None:
    service = RuleService()
    made = rule_boundary(service)
    status, headers, rule = await ask(made, "POST", "worklist-rules", NODULES)
    assert status == 201
    assert headers["location"] == f"https://dicom.example/v2/worklist-rules/{rule['id']}"
    assert rule["filter"] == {"Modality": ["CT"], "BodyPartExamined": ["CHEST", "THORAX"]}
    assert (rule["minimumInstances"], rule["quietSeconds"], rule["enabled"]) == (1, 60, True)
    assert (await ask(made, "GET", "worklist-rules"))[2] == [rule]
    path = f"worklist-rules/{rule['id']}"
    assert (await ask(made, "GET", path))[2] == rule
    status, _, replaced = await ask(made, "PUT", path, {**NODULES, "name": "Other"})
    assert (status, replaced["name"], replaced["createdTime"]) == (200, "Other", rule["createdTime"])
    assert (await ask(made, "DELETE", path))[0] == 204
    assert (await ask(made, "GET", "worklist-rules"))[2] == []
    for method, document in (("GET", None), ("PUT", NODULES), ("DELETE", None)):
        assert (await ask(made, method, path, document))[0] == 404
        assert (await ask(made, method, "worklist-rules/nonsense", document))[0] == 404


async def test_a_dry_run_shows_the_workitem() -> None:
    service = RuleService()
    await service.store(chest())
    asked = {**NODULES, "studies": [STUDY, "1.2.3"]}
    status, _, [found, missing] = await ask(rule_boundary(service), "POST", "worklist-rules/$dryRun", asked)
    assert status == 200
    assert (found["isStored"], found["seriesInstanceUids"]) == (True, [f"{STUDY}.1"])
    assert found["workitem"]["0020000D"]["Value"] == [STUDY]
    assert missing == {"studyInstanceUid": "1.2.3", "isStored": False, "seriesInstanceUids": [], "workitem": None}


@pytest.mark.parametrize(
    ("caller", "method", "path", "status"),
    [
        ("read", "GET", "worklist-rules", 200),
        ("read", "POST", "worklist-rules/$dryRun", 200),
        ("read", "POST", "worklist-rules", 403),
        ("write", "POST", "worklist-rules", 201),
        ("write", "GET", "worklist-rules", 403),
        ("read", "DELETE", f"worklist-rules/{'0' * 32}", 403),
        ("read", "PUT", f"worklist-rules/{'0' * 32}", 403),
        ("write", "DELETE", f"worklist-rules/{'0' * 32}", 404),
    ],
)
async def test_who_may_do_what(caller: str, method: str, path: str, status: int) -> None:
    document = {**NODULES, **({"studies": ["1.2.3"]} if path.endswith("Run") else {})}
    answer = await ask(rule_boundary(RuleService()), method, path, document if method != "GET" else None, caller=caller)
    assert answer[0] == status


async def test_rules_belong_to_a_data_partition() -> None:
    made = rule_boundary(RuleService(), data_partitions=True)
    here, there = "partitions/ward/worklist-rules", "partitions/Microsoft.Default/worklist-rules"
    status, headers, rule = await ask(made, "POST", here, NODULES, caller="write@ward")
    assert (status, headers["location"].rpartition("/")[0]) == (201, f"https://dicom.example/v2/{here}")
    assert (await ask(made, "POST", there, NODULES, caller="write@ward"))[0] == 403
    assert [each["id"] for each in (await ask(made, "GET", here))[2]] == [rule["id"]]
    assert (await ask(made, "GET", there))[2] == []
    assert (await ask(made, "GET", f"{there}/{rule['id']}"))[0] == 404
    assert (await ask(made, "POST", "partitions/unknown/worklist-rules", NODULES))[0] == 400


async def test_what_is_refused_says_where_it_is_wrong() -> None:
    made = rule_boundary(RuleService())
    status, _, body = await ask(made, "POST", "worklist-rules", {**NODULES, "filter": {"PixelData": "1"}})
    assert (status, b"filter.PixelData" in body) == (400, True)
    status, _, body = await ask(made, "POST", "worklist-rules", {**NODULES, "template": {"x" * 40_000: {}}})
    assert status == 413
