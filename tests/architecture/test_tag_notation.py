"""Tags have one notation per layer: numbers where elements are bytes, eight digits of text in the DICOM JSON model."""

import ast
import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_BYTES = (
    "shared/dicom/dictionary/",
    "shared/dicom/dictionary.py",
    "shared/dicom/validation.py",
    "shared/dicom/part10/",
)
_PYDICOM = "shared/dicom/pixels/transcoding.py"
"""It makes data sets of pydicom, whose keys are numbers."""
_ARITHMETIC = "shared/dicomweb/xml_model.py"
"""It computes with groups and blocks of private tags."""
_ELEMENTS_OF_FILES = "shared/ingest/instance_validation.py"
"""It names the attributes that `validation` judges."""
_FRAMES = "shared/deidentification/fragments.py"
"""It follows the items of encapsulated pixel data, byte by byte."""
_MAKERS_OF_MODELS = {
    f"shared/dicom/part10/{name}.py"
    for name in ("bulk_data", "composer", "data_set_levels", "file_reader", "media_directory", "pixel_data")
}
"""They read the DICOM JSON model of a data set beside its bytes."""


_LIKELY = {int: re.compile(r"\b0x[0-9A-Fa-f]{8}\b"), str: re.compile(r"['\"][0-9A-Fa-f]{8}['\"]")}
"""Other modules need not be parsed."""


def _tags(kind: type) -> set[str]:
    """The modules with a tag that is written as a number of eight hexadecimal digits, or as text of them."""
    found = set()
    for path in (_ROOT / "shared").rglob("*.py"):
        source = path.read_text()
        if not _LIKELY[kind].search(source):
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Constant) or type(node.value) is not kind:
                continue
            text = ast.get_source_segment(source, node) or "" if kind is int else f"0x{node.value}"
            if len(text) == len("0x00100010") and text.startswith("0x") and _is_hexadecimal(text[2:]):
                found.add(path.relative_to(_ROOT).as_posix())
    return found


def _is_hexadecimal(text: str) -> bool:
    return all(digit in "0123456789ABCDEFabcdef" for digit in text)


def test_tags_are_numbers_only_where_elements_are_bytes() -> None:
    elsewhere = {module for module in _tags(int) if not module.startswith(_BYTES)}
    assert elsewhere == {_PYDICOM, _ARITHMETIC, _ELEMENTS_OF_FILES, _FRAMES}


def test_tags_are_text_only_where_data_sets_are_the_json_model() -> None:
    assert {module for module in _tags(str) if module.startswith(_BYTES)} == _MAKERS_OF_MODELS
