"""The work of the performer: nodules of a CT as a segmentation, and their measurements as a report (TID 1500)."""

from collections.abc import Callable
from functools import partial

import highdicom as hd
import model
import numpy as np
from dicomweb_client.api import DICOMwebClient
from highdicom import sr
from performer import images
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

DEVICE, VERSION = "LevelNodule", "1.0"
_UID = generate_uid(entropy_srcs=[DEVICE, VERSION])
_ALGORITHM = hd.AlgorithmIdentificationSequence(DEVICE, codes.DCM.ArtificialIntelligence, VERSION)


def worker(level: float) -> Callable[[DICOMwebClient, Dataset], list[Dataset]]:
    """The work, with a model that has learnt that level."""
    return partial(_work, level)


def _work(level: float, client: DICOMwebClient, workitem: Dataset) -> list[Dataset]:
    found = sorted(images(client, workitem), key=lambda each: each[0].ImagePositionPatient[2])
    headers = [header for header, _ in found]
    spacing = (float(headers[0].SliceThickness), *map(float, headers[0].PixelSpacing))
    nodules = model.find(np.stack([pixels for _, pixels in found]), spacing, level)
    segmentation = [_segmentation(headers, nodules)] if nodules else []
    return [*segmentation, _report(headers, nodules, segmentation)]


def _segmentation(headers: list[Dataset], nodules: list[model.Nodule]) -> Dataset:
    masks = np.stack([each.mask for each in nodules], axis=-1).astype(np.uint8)
    described = [
        hd.seg.SegmentDescription(
            number,
            f"Nodule {number}",
            codes.SCT.MorphologicallyAbnormalStructure,
            codes.SCT.Nodule,
            hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            _ALGORITHM,
            tracking_uid=generate_uid(),
            tracking_id=f"Nodule {number}",
        )
        for number in range(1, len(nodules) + 1)
    ]
    kind, serial = hd.seg.SegmentationTypeValues.BINARY, "1"
    uids = generate_uid(), 98, generate_uid(), 1
    return hd.seg.Segmentation(headers, masks, kind, described, *uids, "Example", DEVICE, VERSION, serial)


def _report(headers: list[Dataset], nodules: list[model.Nodule], segmentation: list[Dataset]) -> Dataset:
    source = headers[0].SeriesInstanceUID
    groups = [_group(number, each, segmentation[0], source) for number, each in enumerate(nodules, 1)]
    groups = groups or [_nothing()]  # a report says that there is nothing, too
    device = sr.DeviceObserverIdentifyingAttributes(_UID, DEVICE, "Example", VERSION)
    context = sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device))
    content = sr.MeasurementReport(context, codes.LN.CTChestReport, groups)[0]
    uids = generate_uid(), 99, generate_uid(), 1
    return sr.Comprehensive3DSR([*headers, *segmentation], content, *uids, "Example", is_complete=True)


def _nothing() -> Dataset:
    count = sr.Measurement(sr.CodedConcept("246205007", "SCT", "Quantity"), 0, codes.UCUM.NoUnits)
    tracking = sr.TrackingIdentifier(generate_uid(), "Nodules")
    return sr.MeasurementsAndQualitativeEvaluations(tracking, finding_type=codes.SCT.Nodule, measurements=[count])


def _group(number: int, nodule: model.Nodule, segmentation: Dataset, source: str) -> Dataset:
    described = segmentation.SegmentSequence[number - 1]
    series = sr.SourceSeriesForSegmentation(source)
    segment = sr.ReferencedSegment(segmentation.SOPClassUID, segmentation.SOPInstanceUID, number, source_series=series)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(described.TrackingUID, described.TrackingID),
        referenced_segment=segment,
        finding_type=codes.SCT.Nodule,
        finding_sites=[sr.FindingSite(codes.SCT.Lung)],
        algorithm_id=sr.AlgorithmIdentification(DEVICE, VERSION),
        measurements=[
            sr.Measurement(codes.SCT.Diameter, round(nodule.diameter, 2), codes.UCUM.Millimeter),
            sr.Measurement(codes.SCT.Volume, round(nodule.volume, 1), codes.UCUM.CubicMillimeter),
        ],
    )
