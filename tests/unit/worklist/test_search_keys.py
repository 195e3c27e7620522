"""The keys of searches of the worklist: what each of them finds (worklist §9)."""

from itertools import product

import pytest

from shared.workitems.searchable import KEYS
from tests.builders.full_workitem import LONG, SCHEME, URN, full
from tests.builders.worklist import parsed_search

FOUND = [
    ("PatientName=Muller%5EJorg", True),
    ("PatientName=muller^jorg", True),
    ("00100010=M*", True),
    ("PatientName=Jorg", False),
    ("PatientName=Jor&fuzzymatching=true", True),
    ("PatientName=jorg&FuzzyMatching=true", True),
    ("PatientName=org&fuzzymatching=true", False),
    ("PatientID=p-1", True),
    ("PatientID=P-*", True),
    ("PatientID=P-?", True),
    ("PatientID=*1", True),
    ("PatientID=*2", False),
    ("PatientID=P-2", False),
    ("PatientID=*", True),
    ("ReferencedRequestSequence.AccessionNumber=ACC1", True),
    ("ReferencedRequestSequence.AccessionNumber=acc2", True),
    ("0040A370.00080050=ACC3", False),
    ("0040a370.00401001=RP2", True),
    ("ReferencedRequestSequence.RequestedProcedureID=RP3", False),
    ("ScheduledProcedureStepStartDateTime=20260131", True),
    ("ScheduledProcedureStepStartDateTime=20260131120000", True),
    ("ScheduledProcedureStepStartDateTime=202601311201", False),
    ("00404005=20260131-20260201", True),
    ("00404005=20260201-", False),
    ("00404005=-20260131", True),
    ("00404005=2026", True),
    ("ScheduledStationNameCodeSequence.CodeValue=NAME2", True),
    ("ScheduledStationNameCodeSequence.CodeValue=NAME3", False),
    ("ScheduledStationClassCodeSequence.CodeValue=CLASS", True),
    ("ScheduledStationGeographicLocationCodeSequence.CodeValue=PLACE", True),
    ("ProcedureStepState=SCHEDULED", True),
    ("ProcedureStepState=IN%20PROGRESS", False),
    ("StudyInstanceUID=1.77", True),
    ("StudyInstanceUID=1.77,1.78", True),
    ("StudyInstanceUID=1.78", False),
]
FOUND_TOO = [
    ("SOPInstanceUID=1.2.3", True),
    ("SOPInstanceUID=1.2.3,1.2.4", True),
    ("SOPInstanceUID=1.2.4", False),
    ("SOPInstanceUID=1.2.3&PatientID=P-2", False),
    ("ScheduledProcedureStepPriority=HIGH", True),
    ("ScheduledProcedureStepPriority=LOW", False),
    ("ProcedureStepLabel=nodule*", True),
    ("WorklistLabel=AI", True),
    ("ScheduledWorkitemCodeSequence.CodeValue=WORK2", True),
    ("ScheduledHumanPerformersSequence.HumanPerformerName=doe^jane", True),
    ("ScheduledHumanPerformersSequence.HumanPerformerName=Roe*", True),
    ("ScheduledHumanPerformersSequence.HumanPerformerOrganization=Lab", True),
    ("ScheduledHumanPerformersSequence.HumanPerformerCodeSequence.CodeValue=H2", True),
    ("00404034.00404009.00080100=H3", False),
    ("InputReadinessState=READY", True),
    ("ScheduledProcedureStepModificationDateTime=20231114", True),
    ("ScheduledProcedureStepModificationDateTime=2024-", False),
    ("ScheduledProcedureStepExpirationDateTime=2027", True),
    ("ExpectedCompletionDateTime=20260201-20260228", True),
    ("IssuerOfPatientID=hospital", True),
    ("PatientBirthDate=19700101-19701231", True),
    ("PatientSex=F", False),
    ("AdmissionID=ADM1", True),
    ("ReferencedRequestSequence.StudyInstanceUID=1.2.3", True),
    ("ReferencedRequestSequence.RequestingService=icu", True),
    ("ReplacedProcedureStepSequence.ReferencedSOPInstanceUID=1.55", True),
    ("ReplacedProcedureStepSequence.ReferencedSOPClassUID=1.2", True),
    ("IssuerOfPatientIDQualifiersSequence.UniversalEntityID=1.2.99.1", True),
    ("00100024.00400032=1.2.99.*", True),
    ("00100024.00400032=1.2.98.*", False),
    ("IssuerOfPatientIDQualifiersSequence.UniversalEntityIDType=iso", True),
    ("IssuerOfAdmissionIDSequence.LocalNamespaceEntityID=ADT", True),
    ("IssuerOfAdmissionIDSequence.UniversalEntityID=adt.example", True),
    ("IssuerOfAdmissionIDSequence.UniversalEntityIDType=DNS", True),
    ("00380014.00400031=RIS", False),
    ("ReferencedRequestSequence.IssuerOfAccessionNumberSequence.LocalNamespaceEntityID=R?S", True),
    ("ReferencedRequestSequence.IssuerOfAccessionNumberSequence.UniversalEntityID=ris.example", True),
    ("0040a370.00080051.00400033=DNS", True),
    ("0040A370.00080051.00400031=ADT", False),
    *(
        (f"{sequence}.{attribute}={value}", found)
        for sequence in ("00404018", "00404025", "00404026", "00404027", "00404034.00404009")
        for attribute, value, found in (
            ("CodingSchemeDesignator", SCHEME, True),
            ("CodingSchemeDesignator", "DCM", False),
            ("LongCodeValue", LONG.replace(" ", "%20"), True),
            ("LongCodeValue", "a%20code*", True),
            ("LongCodeValue", "a%20code", False),
            ("URNCodeValue", URN, True),
            ("URNCodeValue", f"{URN}.1", False),
        )
    ),
    ('StudyInstanceUID=""&emptyvaluematching=true', False),
    ("PatientID=Q%5CP-1&multiplevaluematching=true", True),
]


@pytest.mark.spec("WQ-10", "WQ-7", "WL-8")
@pytest.mark.parametrize(("query", "found"), FOUND)
async def test_workitems_are_found_by_what_clients_search_for(query, found):
    worklist = await full()

    assert await worklist.find(query) == (["1.2.3"] if found else [])


@pytest.mark.spec("WQ-11", "WQ-7")
@pytest.mark.parametrize(("query", "found"), FOUND_TOO)
async def test_workitems_are_found_by_more_than_that(query, found):
    worklist = await full()

    assert await worklist.find(query) == (["1.2.3"] if found else [])


def test_every_key_is_searched_for():
    asked = {parsed_search(query).filters[0].key.path for query, _ in FOUND + FOUND_TOO}

    assert asked == set(KEYS)


@pytest.mark.spec("WQ-10")
def test_no_two_keys_share_a_list():
    listed = [code for key in KEYS.values() for code in key.codes]

    assert len(listed) == len(set(listed))
    assert not {"a", "e", "w"} & set(listed)


ONE_ITEM = [
    ("0040A370.00080050=ACC1&0040A370.00401001=RP1", True),
    ("0040A370.00080050=ACC1&0040A370.00401001=RP2", False),
    ("0040A370.00080050=ACC*&0040A370.00401001=RP2", True),
    ("0040A370.00080050=ACC2&0040A370.00321033=ICU", True),
    ("0040A370.00080050=ACC1&0040A370.00321033=ICU", False),
    ("0040A370.00080050=ACC2&0040A370.00080051.00400031=RIS&0040A370.00080051.00400033=DNS", True),
    ("0040A370.00080050=ACC1&0040A370.00080051.00400031=RIS", False),
    ("0040A370.00080050=ACC1&00404025.00080100=NAME2", True),
    ("00404018.00080119=a%20code*&00404018.00080102=99SITE", True),
    ("00404018.00080100=WORK1&00404018.00080102=99SITE", False),
    ("00404034.00404037=Doe*&00404034.00404036=Ward&00404034.00404009.00080100=H1", True),
    ("00404034.00404037=Doe*&00404034.00404036=Lab", False),
    ("00404034.00404037=Doe*&00404034.00404009.00080102=99SITE", False),
    ("00404034.00404037=Roe*&00404034.00404009.00080102=99SITE", True),
    ('00404018.00080100=WORK1&00404018.00080102=""&emptyvaluematching=true', True),
    ('00404018.00080120=urn*&00404018.00080102=""&emptyvaluematching=true', True),
    ('00404018.00080119=a*&00404018.00080102=""&emptyvaluematching=true', False),
    ('0040A370.00080051.00400031=""&0040A370.00080050=ACC1&emptyvaluematching=true', True),
    ('0040A370.00080051.00400031=""&0040A370.00080050=ACC2&emptyvaluematching=true', False),
    ('00380014.00400031=""&emptyvaluematching=true', False),
]


@pytest.mark.spec("WQ-10")
@pytest.mark.parametrize(("query", "found"), ONE_ITEM)
async def test_of_a_sequence_one_item_has_to_meet_all_keys(query, found):
    worklist = await full()

    assert await worklist.find(query) == (["1.2.3"] if found else [])


@pytest.mark.spec("WQ-10")
async def test_all_keys_have_to_match():
    worklist = await full()
    keys = [query for query, found in FOUND if found and "=" in query][:12]

    for one, other in product(keys, keys):
        if parsed_search(one).filters[0].key != parsed_search(other).filters[0].key:
            assert await worklist.find(f"{one}&{other}") == ["1.2.3"]
            assert await worklist.find(f"{one}&InputReadinessState=NO") == []
