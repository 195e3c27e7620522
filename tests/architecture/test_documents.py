"""Documents, settings and sizes that cannot drift from the code."""

import json
import re
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.infra.reviewed_settings import DEFAULT_IS_RIGHT, NEVER

ROOT = Path(__file__).parents[2]
CODE = sorted(
    path
    for folder in ("shared", "devhost", "benchmarks", "scripts", "cli", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
DOCUMENTED = [path for path in CODE if path.relative_to(ROOT).parts[0] in {"shared", "devhost"}]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ALIASES = {field.alias for field in Settings.model_fields.values()}
PLATFORM = {
    "FUNCTIONS_WORKER_RUNTIME",
    "AzureWebJobsStorage",
    "AzureWebJobsDisableHomepage",
}
SET_BY_THE_PLATFORM = {"AzureWebJobsStorage__blobServiceUri", "WEBSITE_AUTH_ENABLED", "WEBSITE_HOSTNAME"}
"""Who copies the sample must not set them: what they say would be believed."""
# What the sample sets differently from the defaults, because it is for a laptop.
LOCAL = {
    "BULK_IMPORT_ENABLED",
    "DicomStorage",
    "EXPORT_DESTINATIONS",
    "AUTHENTICATION_MODE",
    "MAX_REQUEST_BYTES",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    "INDEX_SHARDS",
    "TABLE_SPREAD",
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def sample() -> dict[str, str]:
    return json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]


def test_no_file_of_the_product_is_longer_than_400_lines_and_none_of_the_tests_than_500():
    lengths = {relative(path): len(path.read_text().splitlines()) for path in CODE}
    limits = {name: 500 if name.startswith("tests/") else 400 for name in lengths}

    assert {name: length for name, length in lengths.items() if length > limits[name]} == {}


def test_the_index_stays_small_enough_to_be_read_whole():
    assert sum(len(path.read_text().splitlines()) for path in (ROOT / "shared" / "index").glob("*.py")) < 3_200


def test_every_module_says_what_it_is():
    docstring = re.compile(r'(?:#[^\n]*\n)*r?"""[^\s"]')

    assert [relative(path) for path in DOCUMENTED if not docstring.match(path.read_text())] == []


def test_every_setting_is_in_the_sample_and_every_value_of_the_sample_is_a_setting(sample):
    assert set(sample) - PLATFORM == ALIASES - SET_BY_THE_PLATFORM
    # Fixed when a store is first used: nobody copies them to Azure by accident.
    assert sample["INDEX_SHARDS"] == sample["TABLE_SPREAD"] == ""


def test_the_sample_is_valid_and_shows_the_defaults(sample):
    shown = Settings.from_environment(sample)

    different = {
        field.alias
        for name, field in Settings.model_fields.items()
        if getattr(shown, name) != field.get_default(call_default_factory=True)
    }
    assert different == LOCAL


def test_every_setting_is_set_by_the_deployment_or_reviewed():
    """tests/infra looks at values; this at names, so that a new setting is not forgotten."""
    template = (ROOT / "infra" / "main.bicep").read_text()
    set_there = {name for name in ALIASES if re.search(rf"^  {name}: ", template, re.MULTILINE)}

    assert ALIASES - set_there - DEFAULT_IS_RIGHT - NEVER == set()
    assert set_there & (DEFAULT_IS_RIGHT | NEVER) == set()
    assert (DEFAULT_IS_RIGHT | NEVER) <= ALIASES


def test_every_setting_has_a_name_for_the_environment():
    assert None not in ALIASES
    assert len(ALIASES) == len(Settings.model_fields)


def test_decisions_are_numbered_from_one_without_a_gap_or_a_repetition():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [page.name.partition("-")[0] for page in pages]

    assert numbers == [f"{number:04}" for number in range(1, len(pages) + 1)]
    assert [page.name for page in pages if not page.read_text().startswith(f"# {page.name[:4]} ")] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_every_file_that_a_document_names_exists(path):
    text = path.read_text()
    named = re.findall(r"`((?:shared|devhost|tests|docs|infra|scripts|benchmarks)/[\w./\-]+)`", text)
    linked = [target.partition("#")[0] for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", text)]

    assert [name for name in named if not (ROOT / name).exists()] == []
    assert [target for target in linked if not (path.parent / target).exists()] == []


def anchors(page: Path) -> set[str]:
    """What a link can point to in a page: its headings, as renderers of Markdown name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_every_heading_that_a_document_points_to_exists(path):
    links = [target.partition("#") for target in re.findall(r"\]\((?!https?:)([^)]*#[^)]+)\)", path.read_text())]
    missing = [
        f"{page}#{anchor}" for page, _, anchor in links if anchor not in anchors((path.parent / page) if page else path)
    ]
    assert missing == []


def test_the_questions_of_newcomers_have_answers():
    rows = re.findall(r"^\| (.+\?) \| (.+) \|$", (ROOT / "docs" / "questions.md").read_text(), re.MULTILINE)

    assert len(rows) >= 10
    assert [question for question, answer in rows if "](" not in answer] == []


def walks() -> dict[str, list[str]]:
    """The walks of the architecture's page: title to the modules of its steps."""
    page = (ROOT / "docs" / "architecture.md").read_text().partition("\n## Four walks\n")[2].partition("\n## ")[0]
    _, *sections = page.split("\n### ")
    return {
        section.partition("\n")[0]: re.findall(r"^\d+\. `(shared/[\w/]+\.py)`", section, re.MULTILINE)
        for section in sections
    }


def test_the_walks_have_no_step_back():
    assert list(walks()) == ["A store (STOW)", "A search (QIDO)", "A frame (WADO)", "A change"]
    for title, modules in walks().items():
        assert len(modules) >= 4, title
        assert len(modules) == len(set(modules)), title


CALLED_AS_VALUES = {
    "shared/store/request.py",
    "shared/store/functions.py",
    "shared/dicomweb/query_parameters.py",
    "shared/search/functions.py",
    "shared/retrieve/frames/request.py",
    "shared/retrieve/frames/transaction.py",
    "shared/change_log/sequencer.py",
    "shared/change_log/follower.py",
    "shared/change_feed/publication.py",
    "shared/storage/azure_tables.py",
    "shared/storage/blob_ranges.py",
    "shared/events/event_grid.py",
}
"""Steps that the boundary runs as a `Transaction`, that `wiring` hands over, or that stand behind a port."""


def test_each_step_of_a_walk_is_called_by_one_before_it():
    for title, modules in walks().items():
        texts = {module: (ROOT / module).read_text() for module in modules}
        for place, module in enumerate(modules[1:], 1):
            package, _, name = module.removesuffix(".py").replace("/", ".").rpartition(".")
            imports = re.compile(rf"from {package}(?:\.{name} import| import [^\n]*\b{name}\b)")
            before = [each for each in modules[:place] if imports.search(texts[each])]
            assert bool(before) is (module not in CALLED_AS_VALUES), (title, module)


def test_no_page_speaks_in_metaphors_but_for_one_line():
    words = re.compile(r"\b(?:rooms?|doors?|corridors?)\b", re.IGNORECASE)
    lines = [relative(path) for path in DOCUMENTS for line in path.read_text().splitlines() if words.search(line)]

    assert lines in ([], ["docs/architecture.md"])


def test_pages_name_no_setting_that_nobody_reads():
    read = [*(path for path in CODE if path.relative_to(ROOT).parts[0] != "tests"), *(ROOT / "cli").rglob("*.py")]
    read += [*(ROOT / "infra").glob("*.json"), *(ROOT / "scripts").glob("*[!y]"), ROOT / "Makefile"]
    texts = "".join(path.read_text() for path in read if path.is_file())
    told = set(re.findall(r"\w+", texts)) | ALIASES

    pages = [path for path in DOCUMENTS if not {"decisions", "specification", "design"} & set(path.parts)]
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in pages
        for name in re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", path.read_text())
    }
    assert len(named) > 100
    assert sorted((page, name) for page, name in named if name not in told) == []
