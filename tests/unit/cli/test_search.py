"""`dicom search`: what is asked of the service (docs/use/command-line.md)."""

import pytest

from dicom_cli import service as dicom_service
from dicom_cli.main import main
from dicom_cli.outcomes import ExitCode


class FakeService:
    """Remembers searches, and finds nothing."""

    def __init__(self):
        self.asked = []

    @staticmethod
    def path(rest):
        return f"/v2/{rest}"

    def ask(self, _method, path, *, query, headers):
        assert headers == {"Accept": "application/dicom+json"}
        self.asked.append((path, [pair for pair in query if pair[0] not in {"limit", "offset", "includefield"}]))

        class Answer:
            @staticmethod
            def json():
                return None

        return Answer()


@pytest.fixture
def service(monkeypatch):
    """The service that the command finds."""
    fake = FakeService()
    monkeypatch.setattr(dicom_service, "Service", lambda _configuration: fake)
    return fake


@pytest.mark.spec("CLI-2")
@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((), ("/v2/studies", [])),
        (("StudyDate=20260131", "Label=a b"), ("/v2/studies", [("StudyDate", "20260131"), ("Label", "a b")])),
        (("studies", "ModalitiesInStudy=CT"), ("/v2/studies", [("ModalitiesInStudy", "CT")])),
        (("--Label", "a b", "--PatientID=7"), ("/v2/studies", [("Label", "a b"), ("PatientID", "7")])),
        (("series", "--study", "1.2", "Modality=CT"), ("/v2/studies/1.2/series", [("Modality", "CT")])),
    ],
)
def test_the_level_may_be_left_out_and_keys_stand_anywhere(service, words, asked):
    assert main(["search", *words]) is ExitCode.DONE
    assert service.asked == [asked]


@pytest.mark.spec("CLI-2", "CLI-4")
@pytest.mark.parametrize(("words", "fields"), [((), 7), (("--field", "StudyID"), 8), (("--json",), 0)])
def test_a_table_asks_for_all_that_it_shows(service, words, fields):
    service.fields = []
    asked = service.ask
    service.ask = lambda *given, query, headers: (
        service.fields.extend(value for name, value in query if name == "includefield"),
        asked(*given, query=query, headers=headers),
    )[1]

    main(["search", *words])

    assert len(set(service.fields)) == len(service.fields) == fields


@pytest.mark.spec("CLI-5")
def test_a_word_that_is_no_level_is_wrong_use(service):
    assert main(["search", "patients"]) == ExitCode.WRONG_USE
    assert service.asked == []
