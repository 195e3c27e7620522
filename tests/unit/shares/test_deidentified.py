"""Shares of de-identified copies (SHR-7): made once, seen by nobody else, gone with their share."""

import asyncio
import re
from contextlib import suppress
from itertools import count

import orjson
import pytest

from shared.change_log.high_water import BlobHighWaterMark
from shared.change_log.log import ChangeLog
from shared.deidentification.key import Key
from shared.index_schema import blob_names
from shared.ingest.ingest import Ensured
from shared.shares.copies import key_name
from shared.shares.model import copy_namespace
from shared.upkeep.erasure import Erasure
from tests.builders.deidentifying import leaked
from tests.builders.http import error, field
from tests.builders.service import sequencer, study_cleanup
from tests.builders.sharing import SharingService, referring, said
from tests.unit.shares.test_confinement import EVERYTHING, REQUESTS, STUDIES, instance_of, series_of, text_of

CT = "1.2.840.10008.5.1.4.1.1.2"
IDENTITY = {"PatientName": "Zquxmorf^Wendelgard", "PatientID": "83719264", "PatientBirthDate": "19630817"}
NAMES = ("Zquxmorf", "Wendelgard", "83719264", "19630817")
KNOWN = sorted({uid for each in EVERYTHING for uid in each})
ALL_OF = "application/dicom; transfer-syntax=*"

ORIGINALS = re.compile("|".join(map(re.escape, sorted(KNOWN, key=len, reverse=True))).encode())


async def service(**options):
    """Every instance refers to all others; those of the last study are not shared."""
    made = SharingService(**options)
    tagged = {"SOPClassUID": CT, "Modality": "CT", "BurnedInAnnotation": "NO", **IDENTITY}
    await made.store_images(*(referring(*each, *EVERYTHING, **tagged) for each in EVERYTHING))
    return made


async def shared(made, *studies, run=True, **members):
    """A de-identified share."""
    new = await made.share(*(studies or STUDIES[:2]), deidentified=True, **members)
    if run:
        await made.runner.run()
    return new


def key_of(made, share_id):
    return Key(bytes.fromhex(made.secrets.kept[f"deidentification-{key_name(share_id)}"]))


async def found(made, token, path="studies?includefield=all"):
    answer = await made.ask("GET", path, token=token)
    return said(answer) if answer.status == 200 else []


async def hidden_files(made, share_id):
    return [each.name async for each in made.archive.blobs.list() if copy_namespace(share_id) in each.name]


def feed_of(made):
    """The change log of the service, and what numbers its changes."""
    archive = made.archive
    log = ChangeLog(archive.tables, BlobHighWaterMark(archive.blobs))
    trash = Erasure(archive.tables, archive.clock, shards=archive.shards, retention_hours=1, marks=archive.blobs)
    return log, sequencer(archive, study_cleanup(archive, trash), log)


@pytest.mark.spec("SHR-7")
async def test_until_its_copy_is_complete_a_share_answers_that_it_is_being_made():
    made = await service()
    new = await shared(made, run=False)

    answer = await made.ask("GET", "studies", token=new["token"])
    assert error(answer)[0] == 503
    assert field(answer, "Retry-After") == "30"
    assert error(await made.refused("GET", "changefeed", new["token"]))[0] == 404
    [listed] = said(await made.ask("GET", "shares"))
    assert (listed["deidentified"], listed["copy"]) == (True, "making")

    await made.runner.run()

    assert (await made.ask("GET", "studies", token=new["token"])).status == 200
    [listed] = said(await made.ask("GET", "shares"))
    assert listed["copy"] == "complete"
    operation = await made.operations.get(listed["operation"])
    assert operation.results == {"exported": 4, "skipped": 0}


@pytest.mark.spec("SHR-7", "DEID-3")
async def test_the_bearer_sees_copies_that_name_nobody():
    made = await service()
    new = await shared(made)
    key = key_of(made, new["id"])

    studies = await found(made, new["token"])

    assert {each["0020000D"]["Value"][0] for each in studies} == {key.uid(each) for each in STUDIES[:2]}
    assert {each["00201208"]["Value"][0] for each in studies} == {2}
    uids = [key.uid(each) for each in EVERYTHING[0]]
    path = "studies/{}/series/{}/instances/{}".format(*uids)
    file = await made.ask("GET", path, token=new["token"], accept=ALL_OF)
    assert file.status == 200
    assert leaked(file.body, [*NAMES, *KNOWN]) == []
    assert (await made.ask("GET", f"{path}/frames/1", token=new["token"])).status == 200


@pytest.mark.spec("SHR-7", "SHR-2", "SHR-3")
@pytest.mark.parametrize(
    "requests", [REQUESTS[::9], pytest.param(REQUESTS, marks=pytest.mark.nightly)], ids=["some", "all"]
)
async def test_no_answer_names_a_patient_or_an_original(requests):
    made = await service()
    new = await shared(made)
    key = key_of(made, new["id"])
    renamed = {uid: key.uid(uid) for uid in KNOWN}
    statuses = set()

    for path, accept in requests:
        # As they are asked for by who knows the originals, and by who has the copies.
        for asked in (path, ORIGINALS.sub(lambda found: renamed[found[0].decode()].encode(), path.encode()).decode()):
            answer = await made.ask("GET", asked, token=new["token"], accept=accept)
            statuses.add(answer.status)
            told = text_of(answer).replace(path.encode(), b"")
            assert leaked(told, NAMES) == [], asked
            assert ORIGINALS.findall(told) == [], asked
    assert {200, 404} <= statuses


@pytest.mark.spec("SHR-7")
async def test_the_copy_is_in_no_search_no_feed_and_no_rebuild():
    made = await service()
    log, sequencer_of = feed_of(made)
    new = await shared(made)
    files = await hidden_files(made, new["id"])

    assert len(files) == 4
    originals = said(await made.ask("GET", "studies"))
    assert {each["0020000D"]["Value"][0] for each in originals} == set(STUDIES)
    while not await sequencer_of.catch_up():
        pass
    changes = await logged(log)
    assert len(changes) == len(EVERYTHING)
    assert {each.namespace for each in changes} == {"0"}
    assert {await made.ingest.ensure(each, again=True) for each in files} == {Ensured.KNOWN}
    assert await found(made, new["token"])  # folded as all are


async def logged(log):
    head = await log.head()
    [page] = await log.pages(head.next - 1, 1)
    return page.changes


@pytest.mark.spec("SHR-7", "SHR-4")
@pytest.mark.parametrize("ended", ["revoked", "expired", "moved"])
async def test_the_copy_goes_with_its_share(ended):
    made = await service()
    new, other = await shared(made), await shared(made, STUDIES[2])
    assert await made.copies.sweep() == 0

    if ended == "revoked":
        await made.ask("DELETE", f"shares/{new['id']}")
    elif ended == "moved":
        assert await made.store.end_with("0", STUDIES[0]) == 1
    else:
        await made.store.remove(other["id"])
        other = await made.share(STUDIES[2], deidentified=True, expiresIn="P9D")
        await made.runner.run()
        made.time.seconds += 86_401

    assert await made.copies.sweep() >= 1
    assert await made.copies.sweep() == 0
    assert await hidden_files(made, new["id"]) == []
    assert f"deidentification-{key_name(new['id'])}" not in made.secrets.kept
    assert (await made.ask("GET", "studies", token=new["token"])).status == 401
    assert len(await found(made, other["token"])) == 1
    assert len(said(await made.ask("GET", "studies"))) == 3


@pytest.mark.spec("SHR-7", "SHR-4")
async def test_a_share_that_ends_while_its_copy_is_made_leaves_none():
    made = await service()
    new = await shared(made, run=False)
    await made.ask("DELETE", f"shares/{new['id']}")
    assert await made.copies.sweep() == 0  # an operation is at work

    await made.runner.run()

    assert await made.copies.sweep() == 1
    assert await hidden_files(made, new["id"]) == []


@pytest.mark.spec("SHR-7", "SHR-4")
async def test_a_study_whose_original_is_deleted_leaves_the_share():
    made = await service()
    new = await shared(made)
    key = key_of(made, new["id"])
    await made.archive.index.delete(made.partition, made.study(STUDIES[0]))
    made.time.seconds += 31

    [left] = await found(made, new["token"])

    assert left["0020000D"]["Value"] == [key.uid(STUDIES[1])]
    assert (await made.ask("GET", f"studies/{key.uid(STUDIES[0])}/metadata", token=new["token"])).status == 404


@pytest.mark.spec("SHR-7", "PHI-1")
async def test_the_copy_of_an_erased_study_is_erased():
    made = await service()
    new = await shared(made)
    key = key_of(made, new["id"])

    for _ in range(2):
        await made.copies.forget_studies("0", [STUDIES[0]])
    await made.store.forget_studies("0", [STUDIES[0]])

    assert all(f"/{key.uid(STUDIES[1])}/" in each for each in await hidden_files(made, new["id"]))
    [left] = await found(made, new["token"])
    assert left["0020000D"]["Value"] == [key.uid(STUDIES[1])]


@pytest.mark.spec("SHR-7")
async def test_of_some_series_the_copy_has_no_others():
    made = await service()
    new = await shared(made, STUDIES[0], series=[series_of(STUDIES[0])[0]])
    key = key_of(made, new["id"])

    [series] = await found(made, new["token"], "series")

    assert series["0020000E"]["Value"] == [key.uid(series_of(STUDIES[0])[0])]
    assert len(await hidden_files(made, new["id"])) == 1


@pytest.mark.spec("SHR-7", "DEID-6")
async def test_what_may_show_text_in_its_pixels_is_left_out_and_counted():
    made = SharingService()
    one = (STUDIES[0], series_of(STUDIES[0])[0], instance_of(series_of(STUDIES[0])[0]))
    await made.store_images(referring(*one, BurnedInAnnotation="YES", **IDENTITY))
    await shared(made, STUDIES[0])

    [listed] = said(await made.ask("GET", "shares"))
    operation = await made.operations.get(listed["operation"])
    assert operation.results == {"exported": 0, "skipped": 1}


@pytest.mark.spec("SHR-7", "SHR-1")
@pytest.mark.parametrize("wanted", [{"partition": True}, {"studies": [STUDIES[0]], "deidentified": "yes"}])
async def test_what_cannot_be_copied_once_is_refused(wanted):
    made = await service()
    body = orjson.dumps({"expiresIn": "P1D", "deidentified": True, **wanted})

    assert error(await made.ask("POST", "shares", body=body))[0] == 400


@pytest.mark.spec("SHR-7", "DEID-8")
async def test_without_a_store_of_secrets_there_is_no_deidentified_share():
    made = await service(secrets=False)
    body = orjson.dumps({"expiresIn": "P1D", "deidentified": True, "studies": [STUDIES[0]]})

    assert error(await made.ask("POST", "shares", body=body))[0] == 400
    assert said(await made.ask("GET", "shares")) == []


@pytest.mark.spec("SHR-7", "SHR-6", "DEID-10")
async def test_clinical_data_are_asked_for_under_the_pseudonyms_of_the_files():
    asked = []

    async def clinical(studies, series, extent, pseudonyms):
        asked.append((studies, extent, pseudonyms.key.uid("1.2.3"), await pseudonyms.days(studies[0])))
        return {"resourceType": "Bundle"}

    made = await service(clinical_data=clinical)
    new = await shared(made, STUDIES[0], ehr="reports")
    key = key_of(made, new["id"])

    answer = await made.ask("GET", f"shares/{new['id']}/ehr", token=new["token"])

    assert answer.status == 200
    days = key.days(f"patient\0\0{IDENTITY['PatientID']}")
    assert asked == [([STUDIES[0]], "reports", key.uid("1.2.3"), days)]


class Crash(BaseException):
    """The process is gone."""


async def killed(step, *, after):
    """A share of two instances whose copying process dies at its `step`-th request; whether it died."""
    made = SharingService()
    two = [each for each in EVERYTHING if each[0] == STUDIES[0]]
    await made.store_images(*(referring(*each, SOPClassUID=CT, Modality="CT", **IDENTITY) for each in two))
    new = await shared(made, STUDIES[0], run=False)
    stores = (made.archive.tables, made.archive.blobs)
    requests = count(1)

    async def die(*_):
        await asyncio.sleep(0)
        if next(requests) >= step:
            raise Crash

    for store in stores:
        setattr(store, "after" if after else "before", die)
    died = True
    with suppress(Crash):
        await made.runner.run()
        died = False
    for store in stores:
        store.before = store.after = None
    return made, new, died


async def check_resumed(made, new):
    """Another process makes the copy whole; with the share all of it goes."""
    made.time.seconds += 600  # the lease of the one that died is over
    made.renew()
    await made.runner.run()
    [study] = await found(made, new["token"])
    assert study["00201208"]["Value"] == [2]
    await made.ask("DELETE", f"shares/{new['id']}")
    assert await made.copies.sweep() == 1
    assert [each for each in await hidden_files(made, new["id"]) if blob_names.parse_blob_name(each)] == []


@pytest.mark.spec("SHR-7", "OP-9")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [4, 12, 24])
async def test_a_copy_is_made_although_its_process_died(step, after):
    made, new, died = await killed(step, after=after)

    assert died
    await check_resumed(made, new)


@pytest.mark.nightly
@pytest.mark.spec("SHR-7", "OP-9")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_copy_is_made_wherever_its_process_died(after):
    for step in count(1):
        made, new, died = await killed(step, after=after)
        await check_resumed(made, new)
        if not died:
            break
