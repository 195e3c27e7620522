"""`dicom share`: requests, and what is printed (docs/api/shares.md)."""

import argparse
import json

import pytest

from dicom_cli import share
from dicom_cli.main import parser_for
from dicom_cli.outcomes import ExitCode
from dicom_cli.output import Output

LINK = "https://dicom.example/ui/#/share/shr_x"


class FakeService:
    """Remembers what it was asked, and answers one document."""

    def __init__(self, document=None):
        self.document = document
        self.asked = []

    @staticmethod
    def path(rest):
        return f"/v2/{rest}"

    def ask(self, method, path, *, body=None, headers=None, expect=(200, 202, 204)):
        self.asked.append((method, path, json.loads(body) if body else None))
        document = self.document

        class Answer:
            @staticmethod
            def json():
                return document

        return Answer()


def run(service, *words, as_json=False):
    arguments = parser_for("share").parse_args(["share", *words], argparse.Namespace())
    return share.run(arguments, service, Output(as_json=as_json, quiet=False))


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("1.2", "1.3"), {"studies": ["1.2", "1.3"], "expiresIn": "P7D"}),
        (("--cohort", "c", "--for", "PT1H"), {"cohort": "c", "expiresIn": "PT1H"}),
        (("--whole-partition", "--view-only"), {"partition": True, "expiresIn": "P7D", "download": False}),
        (("1.2", "--series", "1.2.1"), {"studies": ["1.2"], "series": ["1.2.1"], "expiresIn": "P7D"}),
        (
            ("1.2", "--label", "x", "--recipient", "ab"),
            {"studies": ["1.2"], "label": "x", "recipient": "ab", "expiresIn": "P7D"},
        ),
    ],
)
@pytest.mark.spec("CLI-1")
def test_a_share_is_made_as_it_is_asked_for_and_its_link_is_the_result(words, body, capsys):
    service = FakeService({"id": "s", "url": LINK, "token": "shr_x", "expires": "2026-02-07T09:15:00Z"})

    assert run(service, "create", *words) is ExitCode.DONE

    assert service.asked == [("POST", "/v2/shares", body)]
    said = capsys.readouterr()
    assert said.out == f"{LINK}\n"
    assert "2026-02-07" in said.err


def test_a_list_tells_what_is_shared(capsys):
    shares = [
        {"id": "one", "selection": {"studies": ["1.2"], "count": 3}, "expires": "e", "uses": 4},
        {"id": "two", "selection": {"partition": True}, "expires": "e", "uses": 0},
    ]

    assert run(FakeService(shares), "list", as_json=True) is ExitCode.DONE

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["id"], each["shares"]) for each in rows] == [("one", "3 studies"), ("two", "the partition")]


def test_a_share_is_revoked_by_its_id():
    service = FakeService()

    assert run(service, "revoke", "0_a/b") is ExitCode.DONE

    assert service.asked == [("DELETE", "/v2/shares/0_a%2Fb", None)]
