"""The worked example of a model, as somebody runs it who has cloned the project: the whole loop with one command."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "examples/lung-nodule"


def test_each_of_its_texts_says_first_that_it_has_no_clinical_worth():
    for name in ("README.md", "run", "loop.py"):
        first = next(line for line in (FOLDER / name).read_text().splitlines() if not line.startswith("#!"))
        assert "no clinical worth" in first, name


@pytest.mark.nightly
@pytest.mark.spec("AIX-1", "AIX-3", "AIX-4")
@pytest.mark.timeout(900)
def test_the_loop_is_run_by_one_command():
    done = subprocess.run([FOLDER / "run"], cwd=ROOT, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    while not lines[0].startswith("This example"):
        del lines[0]  # what is set up the first time
    assert "no clinical worth" in lines[0]
    steps = [line.split(maxsplit=1) for line in lines[1:]]
    assert [step for step, _ in steps] == [
        "history",
        "cohort",
        "export",
        "model",
        "performer",
        "FHIR",
        "FHIR",
        "feedback",
        "feedback",
    ]
    told = [text for _, text in steps]
    assert told[1].endswith("3 patients, 3 studies")
    assert told[2] == "120 files, de-identified: nobody is named"
    assert told[4].endswith("the study has CT, SEG, SR")
    diameter = re.search(r"Diameter: ([0-9.]+) mm", told[5])
    assert diameter is not None
    assert abs(float(diameter[1]) - 14) < 1.5
    summary = json.loads(told[8])
    assert (summary["model"], summary["version"]) == ("LevelNodule", "1.0")
    assert (summary["count"], summary["coverage"], summary["agreement"]) == (1, 1.0, 1.0)
