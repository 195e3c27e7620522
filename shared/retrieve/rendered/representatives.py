"""The instance that stands for a study or series in a picture (PS3.18 §10.4.1.1.3, §10.4.1.1.4; REND-12)."""

from typing import Final

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.transfer_syntaxes import DEFLATED, NATIVE, SOURCES
from shared.errors import NotFound
from shared.index.model import StudyView
from shared.retrieve.snapshot import Archive, Snapshot

_SERIES_NUMBER, _INSTANCE_NUMBER = "00200011", "00200013"
_LAST: Final = float("inf")


async def representative(archive: Archive, scope: ResourceIdentifier) -> Snapshot:
    """The middle image of the first series that has images, by number; of a study or series without images its first
    instance. Raises NotFound.
    """
    snapshots = await _in(archive, scope)
    shown = _images(snapshots) or snapshots
    if scope.series_instance_uid is None:
        study = await archive.study(scope.study_instance_uid)
        if study is None:
            raise NotFound("The requested study does not exist.")
        series = min({each.identifier.series_instance_uid for each in shown}, key=lambda uid: _series(study, uid))
        shown = [each for each in shown if each.identifier.series_instance_uid == series]
    shown.sort(key=lambda each: (_instance_number(each), each.identifier.sop_instance_uid))
    return await archive.snapshot(shown[len(shown) // 2].identifier)


async def images_in(archive: Archive, scope: ResourceIdentifier) -> list[Snapshot]:
    """The instances of a study or series that have frames, without their metadata. Raises NotFound (REND-5)."""
    snapshots = await _in(archive, scope)
    images = [each for each in snapshots if each.instance.frames is not None or each.instance.frames_in_blob]
    images = images or [each for each in snapshots if each.syntax not in NATIVE - {DEFLATED}]
    if not images:
        raise NotFound("The study or series has no images.")
    return images


async def _in(archive: Archive, scope: ResourceIdentifier) -> list[Snapshot]:
    snapshots = await archive.snapshots(scope)
    if not snapshots:
        raise NotFound(f"The requested {'study' if scope.series_instance_uid is None else 'series'} does not exist.")
    return snapshots


def _images(snapshots: list[Snapshot]) -> list[Snapshot]:
    """Those that can be shown, as far as the index tells."""
    possible = [each for each in snapshots if each.syntax in SOURCES]
    located = [each for each in possible if each.instance.frames is not None or each.instance.frames_in_blob]
    return located or [each for each in possible if each.syntax not in NATIVE - {DEFLATED}]


def _series(study: StudyView, uid: str) -> tuple[float, str]:
    view = study.series.get(uid)
    return (_LAST if view is None else _number(view.attributes.get(_SERIES_NUMBER))), uid


def _instance_number(snapshot: Snapshot) -> float:
    return _number(snapshot.instance.attributes.get(_INSTANCE_NUMBER))


def _number(text: str | None) -> float:
    try:
        return float(int(text or ""))
    except ValueError:
        return _LAST
