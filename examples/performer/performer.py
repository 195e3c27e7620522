"""A performer: hears of workitems, claims them, measures what is dense in a CT, stores a report. No clinical worth."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain

import numpy as np
import requests
from dicomweb_client.api import DICOMwebClient
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

SESSION, FORM, TIME = requests.Session(), {"Content-Type": "application/dicom+json"}, "%Y%m%d%H%M%S%z"
STATION = sr.CodedConcept("NODULE-AI", "99EXAMPLE", "Nodule detection")  # as the template of the worklist rule has it
KEYS = f"ProcedureStepState=SCHEDULED&ScheduledStationNameCodeSequence.CodeValue={STATION.value}"


def images(client: DICOMwebClient, workitem: Dataset) -> Iterator[tuple[Dataset, np.ndarray]]:
    """Header and Hounsfield units of each image in the input information of a workitem."""
    for item in workitem.InputInformationSequence:
        series, native = (item.StudyInstanceUID, item.SeriesInstanceUID), ExplicitVRLittleEndian
        for header in [Dataset.from_json(each, lambda _: None) for each in client.retrieve_series_metadata(*series)]:
            one, form = (*series, header.SOPInstanceUID, [1]), (("application/octet-stream", native),)
            pixels = np.frombuffer(
                *client.retrieve_instance_frames(*one, form), f"<{'ui'[header.PixelRepresentation]}2"
            )
            pixels = pixels.reshape(header.Rows, header.Columns)
            yield header, pixels * float(header.RescaleSlope) + float(header.RescaleIntercept)


def dense_part(client: DICOMwebClient, workitem: Dataset) -> list[Dataset]:
    """How much is denser than 300 HU, as a report (TID 1500)."""
    headers, pixels = zip(*images(client, workitem), strict=True)
    voxel = float(np.prod([*headers[0].PixelSpacing, headers[0].SliceThickness]))
    volume = sr.Measurement(codes.SCT.Volume, float((np.stack(pixels) > 300).sum() * voxel), codes.UCUM.CubicMillimeter)
    tracking = sr.TrackingIdentifier(generate_uid(), "dense part")
    group = sr.MeasurementsAndQualitativeEvaluations(tracking, measurements=[volume])
    device = sr.DeviceObserverIdentifyingAttributes(generate_uid(), "Example performer")
    context = sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device))
    content = sr.MeasurementReport(context, codes.LN.CTReport, [group])[0]
    return [sr.ComprehensiveSR(headers, content, generate_uid(), 99, generate_uid(), 1, "Example", is_complete=True)]


def perform(url: str, work: Callable[[DICOMwebClient, Dataset], list[Dataset]]) -> Iterator[str]:
    """Claim, do and complete what is scheduled for the station; the UIDs of the workitems."""
    client, found = DICOMwebClient(url, SESSION), SESSION.get(f"{url}/workitems?{KEYS}")
    for workitem in map(Dataset.from_json, found.json() if found.status_code == 200 else []):
        place, item, output, state = f"{url}/workitems/{workitem.SOPInstanceUID}", Dataset(), Dataset(), Dataset()
        item.PerformedProcedureStepStartDateTime = f"{datetime.now(UTC):{TIME}}"
        state.TransactionUID, state.ProcedureStepState = generate_uid(), "IN PROGRESS"
        if not SESSION.put(f"{place}/state", state.to_json(), headers=FORM).ok:
            continue  # another performer was faster
        client.store_instances(results := work(client, workitem))
        output.TypeOfInstances, output.ReferencedSOPSequence = "DICOM", [Dataset() for _ in results]
        for entry, result in zip(output.ReferencedSOPSequence, results, strict=True):
            entry.ReferencedSOPClassUID, entry.ReferencedSOPInstanceUID = result.SOPClassUID, result.SOPInstanceUID
        item.PerformedStationNameCodeSequence, item.PerformedWorkitemCodeSequence = [STATION], [STATION]
        item.OutputInformationSequence, item.PerformedProcedureStepEndDateTime = [output], f"{datetime.now(UTC):{TIME}}"
        done = {"00741216": {"vr": "SQ", "Value": [item.to_json_dict()]}}  # before it is completed (PS3.4 CC.2.5-3)
        SESSION.post(f"{place}?{state.TransactionUID}", json=done, headers=FORM).raise_for_status()
        state.ProcedureStepState = "COMPLETED"
        SESSION.put(f"{place}/state", state.to_json(), headers=FORM).raise_for_status()
        yield workitem.SOPInstanceUID


if __name__ == "__main__":
    subscription = f"{sys.argv[1]}/workitems/1.2.840.10008.5.1.4.34.5.1/subscribers/{STATION.value}?{KEYS}"
    while not time.sleep(1):
        with suppress(OSError, WebSocketException):  # a connection that breaks is opened again
            (answer := SESSION.post(subscription)).raise_for_status()
            with connect(answer.headers["Content-Location"]) as reports:
                for _ in chain(["what was scheduled before"], reports):
                    print(*perform(sys.argv[1], dense_part), sep="\n", flush=True)
