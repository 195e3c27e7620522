"""One more searchable attribute is one more line of one table: all that speaks of attributes follows from it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json
from shared.index_schema import indexed_attributes as table
table.ADDED = (table.IndexedAttribute("00180015", "CS", "series", ("bp",), since=1),)
from shared.capabilities.descriptions import matching_keys
from shared.dicomweb.query_parameters import parse_query
from shared.dicomweb.resources import RESOURCES
from shared.dicomweb.versions import ApiVersion
from shared.index_schema.schema import BUILT_IN
from shared.search.planner import plan
from shared.search.request import parse_search
query = parse_query("BodyPartExamined=CHEST&includefield=BodyPartExamined")
search = parse_search("search_series", {}, query, ApiVersion.V2, BUILT_IN)
data_set = {"00180015": {"vr": "CS", "Value": ["CHEST"]}}
print(json.dumps({
    "documents": "BodyPartExamined" in matching_keys(RESOURCES["search_series"]),
    "studies": "BodyPartExamined" in matching_keys(RESOURCES["search_studies"]),
    "keys": [each.key for each in search.filters],
    "unserved": len(plan(search).unserved),
    "taken": BUILT_IN.extract(data_set)[1],
}))
"""


def test_documents_searches_and_what_stores_take_follow_from_a_line() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert json.loads(run.stdout or run.stderr) == {
        "documents": True,
        "studies": False,
        "keys": ["00180015"],
        "unserved": 0,
        "taken": {"00180015": "CHEST"},
    }


def test_the_page_names_one_file() -> None:
    page = (ROOT / "docs" / "develop" / "add-a-searchable-attribute.md").read_text()

    assert "One line, in `shared/index_schema/indexed_attributes.py`" in page
