"""`dicom labels`: requests, and what is printed (docs/api/labels.md)."""

import argparse
import json

import pytest

from dicom_cli import labels
from dicom_cli.main import parser_for
from dicom_cli.outcomes import ExitCode
from dicom_cli.output import Output
from tests.unit.cli.test_share import FakeService


def run(service, *words, as_json=False):
    arguments = parser_for("labels").parse_args(["labels", *words], argparse.Namespace())
    return labels.run(arguments, service, Output(as_json=as_json, quiet=False))


@pytest.mark.parametrize("action", ["add", "remove"])
@pytest.mark.spec("CLI-1", "SEL-1")
def test_labels_are_changed_and_what_the_study_has_then_is_printed(action, capsys):
    service = FakeService({"labels": ["tumour board", "teaching"]})

    assert run(service, action, "1.2", "tumour board", "x") is ExitCode.DONE

    assert service.asked == [("PATCH", "/v2/studies/1.2/labels", {action: ["tumour board", "x"]})]
    assert capsys.readouterr().out == "tumour board\nteaching\n"


@pytest.mark.spec("CLI-4")
def test_labels_of_a_study_are_one_object(capsys):
    service = FakeService({"labels": ["a"]})

    run(service, "show", "1.2", as_json=True)

    assert service.asked == [("GET", "/v2/studies/1.2/labels", None)]
    assert json.loads(capsys.readouterr().out) == {"study": "1.2", "labels": ["a"]}


@pytest.mark.spec("SEL-3")
def test_labels_in_use_say_where_there_are_more(capsys):
    service = FakeService([{"label": "a", "studies": 2}, {"label": "b", "studies": 5000, "more": True}])

    run(service, "list")

    said = capsys.readouterr().out
    assert "5000+" in said
    assert service.asked == [("GET", "/v2/labels", None)]
