"""Paths of the resource table with values in place of their parameters."""

import re
from collections.abc import Mapping

VALUES = {
    "version": "v2",
    "partition": "ward",
    "study": "1.2",
    "series": "1.2.3",
    "instance": "1.2.3.4",
    "frames": "1,2",
    "path": "54000100/1/54001010",
    "operation": "0" * 32,
    "tag": "00101010",
}


def example_path(template: str, values: Mapping[str, str] = VALUES) -> str:
    """`template` of a route with `values`; a parameter that they do not name is 1, so that new rows need no entry."""
    return re.sub(r"\{\*?(\w+)\}", lambda parameter: values.get(parameter[1], "1"), template)
