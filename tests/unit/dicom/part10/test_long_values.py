"""Values far longer than the standard allows, and very many of them, cost no long step."""

import pytest

from shared.dicom import plain_values, validation
from shared.dicom.part10 import value_representations
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS

pytestmark = pytest.mark.spec("STOW-46")


def values(vr: str, text: str) -> list[object]:
    return VALUE_REPRESENTATIONS[vr].from_text(text)


@pytest.mark.parametrize("vr", ["DS", "IS"])
def test_digits_without_end_are_no_number(vr: str) -> None:
    digits = "1" * 100_000
    assert values(vr, digits + " ") == [digits]
    assert values(vr, f"2\\{digits}") == [2, digits]


def test_a_name_is_split_into_its_groups_and_no_further() -> None:
    assert values("PN", "a^b=c=d" + "=e" * 100_000) == [{"Alphabetic": "a^b", "Ideographic": "c", "Phonetic": "d"}]
    assert "component groups" in str(validation.strict("PN", ["a=" * 5_000]))


def test_many_decimals_are_converted_by_the_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def watched(text: str) -> object:
        steps.append(text.count("\\") + 1)
        return plain_values.PLAIN_DECIMALS(text)

    monkeypatch.setattr(value_representations, "PLAIN_DECIMALS", watched)
    assert values("DS", "\\".join(["1.5"] * 10_000 + ["x", ""])) == [1.5] * 10_000 + ["x", None]
    assert sum(steps) == 10_002
    assert max(steps) <= 4096


@pytest.mark.parametrize("vr", sorted({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI"}))
def test_a_value_of_a_megabyte_is_refused_unread(vr: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: str) -> str:
        raise AssertionError("The value has been looked at.")

    monkeypatch.setitem(validation._STRICT, vr, read)
    assert validation.strict(vr, ["1" * 1_000_000]) == validation.explain(vr, "longer than 16384 characters")
