"""The notebook for researchers runs, cell by cell, against a service with the data of cohorts §9."""

import asyncio
import io
import json
from pathlib import Path

import pytest

from tests.builders.cohort_runs import Site

NOTEBOOK = Path(__file__).parents[4] / "examples" / "notebooks" / "cohort.ipynb"


def name_of(method, path):
    """The function of a request."""
    if method == "POST":
        return "translate_question" if path.endswith("/translate") else "run_cohort"
    return "retrieve_cohort_manifest" if path.endswith("/manifest") else "retrieve_cohort"


@pytest.mark.spec("COH-2", "NL-10")
async def test_the_notebook_for_researchers_runs(monkeypatch):
    site, loop, names = Site(), asyncio.get_running_loop(), {}
    monkeypatch.setenv("DICOM_SERVICE", "http://dicom.example/v2")

    async def answer(request):
        path = request.full_url.removeprefix("http://dicom.example")
        if request.method == "GET":
            await site.runner.run()
        document = json.loads(request.data) if request.data else None
        body = (await site.ask(name_of(request.method, path), request.method, path, document)).body
        return body if isinstance(body, bytes) else b"".join([each async for each in body])

    def opened(request):
        return io.BytesIO(asyncio.run_coroutine_threadsafe(answer(request), loop).result(60))

    def run():
        cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
        for cell in (each for each in cells if each["cell_type"] == "code"):
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)  # noqa: S102 - the notebook is ours
            names["urlopen"] = opened

    await asyncio.to_thread(run)
    assert names["found"]["sentence"].startswith("As of 2026-06-30: Patients with a diagnosis of osteosarcoma")
    assert names["cohort"]["status"] == "succeeded"
    assert len(names["studies"]) == names["cohort"]["counts"]["studies"] > 0
    assert 0 < len(names["since"]) < len(names["manifest"]["patients"])
