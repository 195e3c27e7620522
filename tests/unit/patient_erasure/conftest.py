import pytest

from shared.study_updates import operation
from tests.unit.patient_erasure.service import ErasingService


@pytest.fixture(autouse=True)
def at_full_speed(monkeypatch):
    monkeypatch.setattr(operation, "_LONGEST_PAUSE", 0.0)


@pytest.fixture
def service():
    return ErasingService()
