"""Metadata: what is read for them, and how documents are finished."""

import json

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.document_rules import DocumentRules
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.errors import NotFound
from shared.index import documents, lookup
from shared.retrieve.metadata import transaction as metadata_module
from shared.retrieve.metadata.transaction import MetadataRules, retrieve_metadata
from shared.retrieve.snapshot import LostFile
from tests.builders.images import JPEG, image, new_uid
from tests.builders.retrieve import ImageArchive, collected
from tests.builders.service import PARTITION

URLS = Urls("https://example.org", "v2", None)
V2 = MetadataRules(DocumentRules(), ApiVersion.V2, URLS)
V1 = MetadataRules(DocumentRules(), ApiVersion.V1, URLS)


@pytest.fixture
def archive():
    return ImageArchive()


async def datasets(archive, scope, rules=V2):
    found = await retrieve_metadata(archive.view, scope, rules, lambda _: False)
    return json.loads(await collected(found.body))


def uids(found):
    return sorted(dataset["00080018"]["Value"][0] for dataset in found)


def sops(images):
    return sorted(one.identifier.sop_instance_uid for one in images)


@pytest.mark.spec("META-1", "JSON-9")
async def test_each_level_gives_an_array_with_a_data_set_per_instance(archive):
    study, series = new_uid(), new_uid()
    images = [image(study, series), image(study, series), image(study)]
    await archive.store(*images, image())
    assert uids(await datasets(archive, ResourceIdentifier(study))) == sops(images)
    assert uids(await datasets(archive, ResourceIdentifier(study, series))) == sops(images[:2])
    one = images[0].identifier
    found = await datasets(archive, ResourceIdentifier(study, series, one.sop_instance_uid))
    assert uids(found) == [one.sop_instance_uid]


@pytest.mark.spec("META-2")
async def test_nothing_there_is_not_found(archive):
    for scope in (ResourceIdentifier("1"), ResourceIdentifier("1", "2"), ResourceIdentifier("1", "2", "3")):
        with pytest.raises(NotFound):
            await datasets(archive, scope)


@pytest.mark.spec("META-3", "W-3")
async def test_bulk_values_are_named_below_their_instance_or_left_out(archive):
    one = image(syntax=JPEG, EncapsulatedDocument=b"pdf!")
    await archive.store(one)
    scope = ResourceIdentifier(one.identifier.study_instance_uid)
    (named,) = await datasets(archive, scope, V2)
    assert named["7FE00010"]["BulkDataURI"] == f"https://example.org/v2/{one.path}/bulkdata/7FE00010"
    assert named["00420011"]["BulkDataURI"] == f"https://example.org/v2/{one.path}/bulkdata/00420011"
    (bare,) = await datasets(archive, scope, V1)
    assert {"7FE00010", "00420011"}.isdisjoint(bare)


@pytest.mark.spec("D-7")
async def test_the_character_set_is_that_of_the_answer_unless_it_is_wanted_as_stored(archive):
    one = image(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    await archive.store(one)
    scope = ResourceIdentifier(one.identifier.study_instance_uid)
    (found,) = await datasets(archive, scope)
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
    as_stored = MetadataRules(DocumentRules(character_set_as_stored=True), ApiVersion.V2, URLS)
    assert (await datasets(archive, scope, as_stored))[0]["00080005"]["Value"] == ["ISO_IR 100"]


@pytest.mark.spec("META-1")
async def test_many_documents_are_one_range_read_in_pages_and_no_file(archive, monkeypatch):
    monkeypatch.setattr(lookup, "_STREAMED_ROWS", 25)
    study, series = new_uid(), new_uid()
    images = [image(study, series, frames=0) for _ in range(60)]
    await archive.store(*images)
    archive.forget()
    assert uids(await datasets(archive, ResourceIdentifier(study, series))) == sops(images)
    assert archive.tables.requests <= 1 + 3
    assert archive.blobs.calls == []


@pytest.mark.spec("META-1")
async def test_documents_come_in_pieces_of_bounded_size(archive, monkeypatch):
    monkeypatch.setattr(metadata_module, "_CHUNK", 5000)
    study = new_uid()
    images = [image(study, frames=0) for _ in range(40)]
    await archive.store(*images)
    found = await retrieve_metadata(archive.view, ResourceIdentifier(study), V2, lambda _: False)
    pieces = [piece async for piece in found.body]
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 10_000
    assert uids(json.loads(b"".join(pieces))) == sops(images)


@pytest.mark.spec("META-7")
@pytest.mark.parametrize("level", [1, 2, 3])
async def test_what_the_client_holds_is_not_read(archive, level):
    one = image()
    await archive.store(one)
    identifier = one.identifier
    parts = (identifier.study_instance_uid, identifier.series_instance_uid, identifier.sop_instance_uid)
    stored = await archive.lookup.instance(PARTITION, identifier, metadata=False)
    archive.forget()
    seen = []
    found = await retrieve_metadata(
        archive.view,
        ResourceIdentifier(*parts[:level]),
        V2,
        lambda versions: seen.append(versions) or True,
    )
    assert found.body is None
    assert seen == [[stored.version]] == [found.versions]
    assert archive.tables.requests == 1


async def documents_apart(archive, monkeypatch, count):
    monkeypatch.setattr(documents, "INLINE_METADATA", 100)
    study = new_uid()
    images = [image(study) for _ in range(count)]
    await archive.store(*images)
    names = [name for name in archive.blobs.names() if name.endswith(".json")]
    assert len(names) == count
    return ResourceIdentifier(study), images, names


@pytest.mark.spec("META-1")
async def test_documents_too_large_for_the_index_are_read_from_beside_the_file(archive, monkeypatch):
    scope, images, _ = await documents_apart(archive, monkeypatch, 20)
    small = image(scope.study_instance_uid)
    monkeypatch.setattr(documents, "INLINE_METADATA", 240_000)
    await archive.store(small)
    archive.forget()
    assert uids(await datasets(archive, scope)) == sops([*images, small])
    assert len(archive.blobs.calls) == 20


@pytest.mark.spec("WADO-29", "D-41")
async def test_a_document_that_is_gone_is_left_out_if_its_instance_is_and_a_fault_otherwise(archive, monkeypatch):
    scope, images, names = await documents_apart(archive, monkeypatch, 3)
    await archive.blobs.delete(names[0])
    with pytest.raises(LostFile):
        await datasets(archive, scope)

    async def delete_the_rest(_, operation):
        archive.blobs.before = None
        await archive.index.delete(PARTITION, scope)

    archive.blobs.before = delete_the_rest
    assert uids(await datasets(archive, scope)) == sorted(
        one.identifier.sop_instance_uid for one in images if f"/{one.identifier.sop_instance_uid}/" not in names[0]
    )
