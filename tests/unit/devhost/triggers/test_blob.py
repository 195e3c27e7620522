"""Paths of blob triggers."""

import pytest

from devhost.settings import Unusable
from devhost.triggers.blob import path_pattern


@pytest.mark.parametrize(
    ("path", "blob", "values"),
    [
        ("inbox/{name}", "a/b.dcm", {"name": "a/b.dcm"}),
        ("inbox", "a/b.dcm", {"name": "a/b.dcm"}),
        ("inbox/{name}.dcm", "a.b.dcm", {"name": "a.b"}),
        ("inbox/{name}.dcm", "a.txt", None),
        ("inbox/fixed/{a}-{b}", "fixed/x-y-z", {"a": "x-y", "b": "z"}),
        ("inbox/{name}", "line\nbreak", {"name": "line\nbreak"}),
    ],
)
def test_the_path_of_a_blob_trigger_is_a_pattern(path: str, blob: str, values: dict[str, str] | None) -> None:
    container, pattern = path_pattern(path)
    match = pattern.fullmatch(blob)
    assert container == "inbox"
    assert (match.groupdict() if match else None) == values


@pytest.mark.parametrize("path", ["{container}/x", "/x", ""])
def test_a_blob_trigger_names_its_container(path: str) -> None:
    with pytest.raises(Unusable):
        path_pattern(path)
