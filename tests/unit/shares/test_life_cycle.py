"""Making, using, listing and revoking shares (SHR-1, SHR-2, SHR-4, SHR-5)."""

import asyncio
import logging

import pytest

from shared.shares.model import digest_of
from tests.builders.http import error, field, lines
from tests.builders.images import image
from tests.builders.sharing import SharingService, referring, said

ONE, OTHER = image(), image()
STUDY = ONE.identifier.study_instance_uid
NEW_ID = "0_AAAAAAAAAAAAAAAAAAAAAA"


async def service(**options: object) -> SharingService:
    made = SharingService(**options)
    await made.store_images(ONE, OTHER)
    return made


async def found(made: SharingService, token: str) -> set[str]:
    answer = await made.ask("GET", "studies", token=token)
    return {each["0020000D"]["Value"][0] for each in said(answer)} if answer.status == 200 else set()


@pytest.mark.spec("SHR-1", "SHR-8")
async def test_a_share_is_made_with_a_link_whose_fragment_alone_holds_the_token():
    made = await service()

    answer = await made.ask("POST", "shares", body=b'{"studies": ["%b"], "expiresIn": "P7D"}' % STUDY.encode())

    assert answer.status == 201
    new = said(answer)
    assert field(answer, "Location") == f"http://dicom.example/v2/shares/{new['id']}"
    assert new["url"] == f"http://dicom.example/ui/#/share/{new['token']}"
    assert new["expires"] == "2023-11-21T22:13:20Z"
    assert field(answer, "Cache-Control") == "no-store"
    assert await found(made, new["token"]) == {STUDY}


@pytest.mark.spec("SHR-1")
async def test_of_a_token_only_its_digest_is_stored():
    made = await service()
    token = await made.token(STUDY)

    rows = [row for row in made.archive.tables.rows("ops") if row.partition_key.startswith("shares!")]

    assert [row.properties["digest"] for row in rows] == [digest_of(token)]
    secret = token[-43:]
    assert all(secret not in str(value) for row in rows for value in (row.row_key, *row.properties.values()))


@pytest.mark.spec("SHR-1")
async def test_each_share_has_a_token_of_its_own():
    made = await service()

    tokens = {await made.token(STUDY) for _ in range(20)}

    assert len({token[-43:] for token in tokens}) == 20


@pytest.mark.spec("SHR-3")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(
            ("GET", each)
            for each in ("changefeed", "changefeed/latest", "partitions", "extendedquerytags", "workitems")
        ),
        *(("GET", each) for each in ("operations/9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e", "shares")),
        *(("POST", each) for each in ("studies", "studies/STUDY", "shares", "export", "workitems")),
        *(("DELETE", each) for each in ("studies/STUDY", f"shares/{NEW_ID}")),
    ],
)
async def test_nothing_else_exists_for_a_share(method, path):
    made = await service()
    token = await made.token(STUDY)

    assert error(await made.refused(method, path.replace("STUDY", STUDY), token))[0] == 404


@pytest.mark.spec("SHR-3")
@pytest.mark.parametrize("behind", ["", "/metadata", "/rendered", "/series", "/series/SERIES"])
async def test_a_foreign_study_is_answered_as_one_that_does_not_exist(behind):
    made = await service()
    behind = behind.replace("SERIES", OTHER.identifier.series_instance_uid)
    token = await made.token(STUDY)
    paths = (f"studies/{OTHER.identifier.study_instance_uid}{behind}", f"studies/1.2.3.4.5.6{behind}")

    foreign, unknown = [await made.ask("GET", path, token=token, X_Request_Id="same") for path in paths]

    assert foreign.status == 404
    assert (foreign.status, foreign.headers, foreign.body) == (unknown.status, unknown.headers, unknown.body)


@pytest.mark.spec("SHR-2")
@pytest.mark.parametrize(
    ("behind", "accept"),
    [
        ("", "application/dicom; transfer-syntax=*"),
        ("", "application/zip"),
        ("/bulkdata", "*/*"),
        ("/pixeldata", "*/*"),
        ("/bulkdata/7FE00010", "*/*"),
    ],
)
async def test_whole_instances_need_a_share_that_allows_downloads(behind, accept):
    made = await service()
    shown, downloaded = await made.token(STUDY, download=False), await made.token(STUDY)

    statuses = [
        (await made.ask("GET", f"{ONE.path}{behind}", token=token, accept=accept)).status
        for token in (shown, downloaded)
    ]

    assert statuses == [404, 200]


@pytest.mark.spec("SHR-2")
@pytest.mark.parametrize("behind", ["/metadata", "/frames/1", "/rendered", "/thumbnail"])
async def test_a_share_without_downloads_shows_metadata_frames_and_pictures(behind):
    made = await service()

    assert (await made.ask("GET", f"{ONE.path}{behind}", token=await made.token(STUDY, download=False))).status == 200


@pytest.mark.spec("SHR-2")
@pytest.mark.parametrize(("kind", "status"), [("application/dicom", 404), ("image/jpeg", 200)])
async def test_wado_uri_gives_pictures_alone_without_downloads(kind, status):
    made = await service()
    one = ONE.identifier
    query = f"studyUID={STUDY}&seriesUID={one.series_instance_uid}&objectUID={one.sop_instance_uid}&contentType={kind}"

    answer = await made.ask("GET", f"wado?requestType=WADO&{query}", token=await made.token(STUDY, download=False))

    assert answer.status == status


@pytest.mark.spec("SHR-2")
async def test_a_study_of_a_share_of_series_counts_only_those():
    kept, left = image(STUDY, Modality="CT"), image(STUDY, Modality="SR")
    made = SharingService()
    await made.store_images(kept, left)
    token = await made.token(STUDY, series=[kept.identifier.series_instance_uid])

    [study] = said(await made.ask("GET", "studies?includefield=all", token=token))

    assert study["00080061"]["Value"] == ["CT"]
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([1], [1])
    assert (await made.ask("GET", "studies?ModalitiesInStudy=SR", token=token)).status == 204
    assert len(said(await made.ask("GET", f"studies/{STUDY}/metadata", token=token))) == 1


@pytest.mark.spec("SHR-41")
async def test_a_share_of_a_partition_has_what_is_there_at_each_request():
    made = await service()
    token = await made.token(partition=True)
    later = image()
    await made.store_images(later)

    assert await found(made, token) == {each.identifier.study_instance_uid for each in (ONE, OTHER, later)}


@pytest.mark.spec("SHR-4")
async def test_a_deleted_study_leaves_the_share():
    made = await service()
    token = await made.token(STUDY, OTHER.identifier.study_instance_uid)
    await made.archive.index.delete(made.partition, made.study(STUDY))

    assert await found(made, token) == {OTHER.identifier.study_instance_uid}
    assert (await made.ask("GET", f"studies/{STUDY}", token=token)).status == 404


@pytest.mark.spec("SHR-4")
async def test_a_revoked_share_opens_nothing_from_the_next_request_on():
    made = await service()
    new = await made.share(STUDY)
    assert await found(made, new["token"]) == {STUDY}

    assert (await made.ask("DELETE", f"shares/{new['id']}")).status == 204

    assert (await made.ask("GET", "studies", token=new["token"])).status == 401
    assert (await made.ask("DELETE", f"shares/{new['id']}")).status == 404
    assert said(await made.ask("GET", "shares")) == []


@pytest.mark.spec("SHR-4")
async def test_under_load_no_request_that_begins_after_a_revocation_is_answered():
    made = await service()
    new = await made.share(STUDY)
    over = asyncio.Event()
    before: list[int] = []
    after: list[int] = []

    async def reader(path):
        while len(after) < 100:
            begun_after = over.is_set()
            answer = await made.ask("GET", path, token=new["token"])
            (after if begun_after else before).append(answer.status)
            await asyncio.sleep(0)

    async def owner():
        while len(before) < 100:
            await asyncio.sleep(0)
        assert (await made.ask("DELETE", f"shares/{new['id']}")).status == 204
        over.set()

    paths = ("studies", f"studies/{STUDY}/metadata", f"{ONE.path}/rendered", ONE.path)
    await asyncio.gather(owner(), *(reader(path) for path in paths * 3))

    assert 200 in before
    assert set(before) <= {200, 401}
    assert set(after) <= {401, 429}


@pytest.mark.spec("SHR-4")
async def test_a_share_ends_with_its_last_second():
    made = await service()
    token = await made.token(STUDY, expiresIn="PT1H")

    made.time.seconds += 3599
    assert await found(made, token) == {STUDY}
    made.time.seconds += 1
    assert (await made.ask("GET", "studies", token=token)).status == 401


@pytest.mark.spec("SHR-4")
async def test_the_list_tells_what_is_shared_and_how_often_it_was_used():
    made = await service()
    first = await made.share(STUDY, label="second opinion", recipient="AB" * 32)
    made.time.seconds += 10
    second = await made.share(partition=True, download=False)
    for _ in range(3):
        await made.ask("GET", "studies", token=first["token"])
    made.time.seconds += 60
    await made.ask("GET", "studies", token=first["token"])

    newest, oldest = said(await made.ask("GET", "shares"))

    assert newest["id"] == second["id"]
    assert newest["selection"] == {"partition": True}
    assert (newest["download"], newest["uses"], "lastUse" in newest) == (False, 0, False)
    assert oldest == {
        "id": first["id"],
        "label": "second opinion",
        "selection": {"studies": [STUDY], "count": 1},
        "created": "2023-11-14T22:13:20Z",
        "expires": "2023-11-15T22:13:20Z",
        "download": True,
        "ehr": "none",
        "deidentified": False,
        "recipient": "ab" * 32,
        "uses": 4,
        "lastUse": "2023-11-14T22:14:30Z",
    }


@pytest.mark.spec("SHR-4")
async def test_counting_a_use_never_brings_a_revoked_share_back():
    made = await service()
    new = await made.share(STUDY)
    stored = await made.store.get(new["id"])
    assert stored is not None
    await made.store.remove(new["id"])

    assert not await made.store.note_use(stored, 1, made.time())
    assert await made.store.get(new["id"]) is None


@pytest.mark.spec("SHR-4")
async def test_shares_are_forgotten_thirty_days_after_they_have_expired():
    made = await service()
    await made.share(STUDY, expiresIn="P1D")
    kept = await made.share(STUDY, expiresIn="P90D")
    made.time.seconds += 31 * 86_400 + 1

    assert await made.store.forget(made.directory, made.time) == 1

    assert [each.id for each in await made.store.all("0")] == [kept["id"]]


@pytest.mark.spec("SHR-5")
async def test_each_use_is_audited_with_the_share_as_the_caller(caplog):
    made = await service()
    new = await made.share(STUDY, recipient="ab" * 32)
    caplog.set_level(logging.INFO)

    await made.ask("GET", f"studies/{STUDY}/metadata", token=new["token"])

    records = lines(caplog, "dicom.audit")
    assert len(records) == 2
    assert all(each["callerClaims"] == {"share": new["id"], "recipient": "ab" * 32} for each in records), records
    assert all(new["token"] not in record.getMessage() for record in caplog.records)


@pytest.mark.spec("SHR-5")
@pytest.mark.parametrize("wrong", ["", "x", "A" * 43])
async def test_ten_wrong_tokens_a_minute_end_the_patience_with_an_address(wrong):
    made = await service()
    token = await made.token(STUDY)
    guess = f"{token[:-43]}{wrong}"

    statuses = [(await made.ask("GET", "studies", token=guess)).status for _ in range(10)]
    refused = await made.ask("GET", "studies", token=guess)

    assert statuses == [401] * 10
    assert error(refused)[0] == 429
    assert int(field(refused, "Retry-After") or "0") > 0
    assert (await made.ask("GET", "studies", token=token)).status == 429
    made.time.seconds += 61
    assert await found(made, token) == {STUDY}


@pytest.mark.spec("SHR-2")
async def test_other_tokens_are_the_business_of_the_other_authenticator():
    made = await service()

    assert (await made.ask("GET", "studies", token="read")).status == 200
    assert (await made.ask("GET", "studies", token="write")).status == 403


@pytest.mark.spec("SHR-8")
@pytest.mark.parametrize("query", ["token={}", "access_token={}", "share={}"])
async def test_no_token_is_read_from_an_address(query):
    made = await service()
    token = await made.token(STUDY)

    answer = await made.ask("GET", f"studies?{query.format(token)}", token="write")

    assert answer.status == 403


@pytest.mark.spec("SHR-2")
async def test_a_range_of_a_file_is_the_whole_of_it_where_uids_are_hidden():
    one = referring(STUDY, "1.2.3.4.5.10", "1.2.3.4.5.11", ("1.2.3.4.5.7", "1.2.3.4.5.8", "1.2.3.4.5.9"))
    made = SharingService()
    await made.store_images(one)
    path = f"studies/{STUDY}/series/1.2.3.4.5.10/instances/1.2.3.4.5.11"
    accept = "application/dicom; transfer-syntax=*"
    token = await made.token(STUDY)

    cut = await made.ask("GET", path, token=token, accept=accept, Range="bytes=200-400")
    whole = await made.ask("GET", path, accept=accept)

    assert cut.status == 200
    assert isinstance(cut.body, bytes)
    assert isinstance(whole.body, bytes)
    assert len(cut.body) == len(whole.body) == len(one.data)
    assert b"1.2.3.4.5.9" in whole.body
    assert b"1.2.3.4.5.9" not in cut.body


@pytest.mark.spec("SHR-2")
async def test_a_file_without_references_is_sent_as_it_is_stored_and_in_ranges():
    made = await service()
    token = await made.token(STUDY)
    accept = "application/dicom; transfer-syntax=*"

    whole = await made.ask("GET", ONE.path, token=token, accept=accept)
    part = await made.ask("GET", ONE.path, token=token, accept=accept, Range="bytes=128-131")

    assert whole.body == ONE.data
    assert (part.status, part.body) == (206, b"DICM")


@pytest.mark.spec("PHI-1")
async def test_studies_that_are_erased_leave_the_shares_and_a_share_without_any_ends():
    made = await service()
    alone, among = await made.share(STUDY), await made.share(STUDY, OTHER.identifier.study_instance_uid)
    whole = await made.share(partition=True)

    assert await made.store.forget_studies("0", [STUDY]) == 2
    assert await made.store.forget_studies("0", [STUDY]) == 0

    assert (await made.ask("GET", "studies", token=alone["token"])).status == 401
    assert await found(made, among["token"]) == {OTHER.identifier.study_instance_uid}
    left = said(await made.ask("GET", "shares"))
    assert {each["id"] for each in left} == {among["id"], whole["id"]}
    assert all(STUDY not in str(each) for each in left)
