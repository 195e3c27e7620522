"""A performer: claims workitems, measures the dense part of a CT, stores a report (TID 1500). No clinical worth."""

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import requests
from dicomweb_client.api import DICOMwebClient
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

STATION = sr.CodedConcept("NODULE-AI", "99EXAMPLE", "Nodule detection")  # as the template of the worklist rule has it


def images(client: DICOMwebClient, workitem: Dataset) -> Iterator[tuple[Dataset, np.ndarray]]:
    """Header and Hounsfield units of each image in the input information of a workitem."""
    for item in workitem.InputInformationSequence:
        series = item.StudyInstanceUID, item.SeriesInstanceUID
        for data_set in client.retrieve_series_metadata(*series):
            header = Dataset.from_json(data_set, lambda _: None)  # without bulk data
            native = (("application/octet-stream", ExplicitVRLittleEndian),)
            [frame] = client.retrieve_instance_frames(*series, header.SOPInstanceUID, [1], native)
            pixels = np.frombuffer(frame, "<i2" if header.PixelRepresentation else "<u2")
            pixels = pixels.reshape(header.Rows, header.Columns)
            yield header, pixels * float(header.RescaleSlope) + float(header.RescaleIntercept)


def dense_part(client: DICOMwebClient, workitem: Dataset) -> list[Dataset]:
    """How much is denser than 300 HU, as a report."""
    headers, pixels = zip(*images(client, workitem), strict=True)
    voxel = float(np.prod([*headers[0].PixelSpacing, headers[0].SliceThickness]))
    volume = sr.Measurement(codes.SCT.Volume, float((np.stack(pixels) > 300).sum() * voxel), codes.UCUM.CubicMillimeter)
    tracking = sr.TrackingIdentifier(generate_uid(), "dense part")
    group = sr.MeasurementsAndQualitativeEvaluations(tracking, measurements=[volume])
    device = sr.DeviceObserverIdentifyingAttributes(generate_uid(), "Example performer")
    context = sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device))
    content = sr.MeasurementReport(context, codes.LN.CTReport, [group])[0]
    return [sr.ComprehensiveSR(headers, content, generate_uid(), 99, generate_uid(), 1, "Example", is_complete=True)]


def performed(results: list[Dataset], begun: datetime) -> dict:
    """What a workitem has to tell before it is completed (PS3.4 Table CC.2.5-3)."""
    item, output = Dataset(), Dataset()
    output.TypeOfInstances, output.ReferencedSOPSequence = "DICOM", [Dataset() for _ in results]
    for reference, result in zip(output.ReferencedSOPSequence, results, strict=True):
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = result.SOPClassUID, result.SOPInstanceUID
    item.PerformedStationNameCodeSequence, item.PerformedWorkitemCodeSequence = [STATION], [STATION]
    item.PerformedProcedureStepStartDateTime = f"{begun:%Y%m%d%H%M%S%z}"
    item.PerformedProcedureStepEndDateTime = f"{datetime.now(UTC):%Y%m%d%H%M%S%z}"
    item.OutputInformationSequence = [output]
    return {"UnifiedProcedureStepPerformedProcedureSequence": {"vr": "SQ", "Value": [item.to_json_dict()]}}


def perform(url: str, work: Callable[[DICOMwebClient, Dataset], list[Dataset]]) -> Iterator[str]:
    """Claim, do and complete what is scheduled for the station; the UIDs of the workitems."""
    session, form = requests.Session(), {"Content-Type": "application/dicom+json"}
    client = DICOMwebClient(url, session)
    query = f"ProcedureStepState=SCHEDULED&ScheduledStationNameCodeSequence.CodeValue={STATION.value}"
    found = session.get(f"{url}/workitems?{query}")
    for workitem in map(Dataset.from_json, found.json() if found.status_code == 200 else []):
        place, begun = f"{url}/workitems/{workitem.SOPInstanceUID}", datetime.now(UTC)
        claim = {"TransactionUID": {"vr": "UI", "Value": [generate_uid()]}}
        state = {"vr": "CS", "Value": ["IN PROGRESS"]}
        if not session.put(f"{place}/state", json=claim | {"ProcedureStepState": state}, headers=form).ok:
            continue  # another performer was faster
        client.store_instances(results := work(client, workitem))
        session.post(place, json=claim | performed(results, begun), headers=form).raise_for_status()
        state = {"vr": "CS", "Value": ["COMPLETED"]}
        session.put(f"{place}/state", json=claim | {"ProcedureStepState": state}, headers=form).raise_for_status()
        yield workitem.SOPInstanceUID


if __name__ == "__main__":
    while True:
        print(*perform(sys.argv[1], dense_part), sep="\n", flush=True)
        time.sleep(10)
