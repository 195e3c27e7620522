import pytest
from pydicom.datadict import DicomDictionary, RepeatersDictionary, private_dictionaries

from scripts.generate_dictionary import PRIVATE_TARGET, TARGET, lines, private_lines
from shared.dicom.dictionary import keyword_of, private_vr, tag_of, vm_of, vr_of


def test_the_tables_are_what_the_generator_writes() -> None:
    assert TARGET.read_text("ascii").splitlines() == lines()
    assert PRIVATE_TARGET.read_text("ascii").splitlines() == private_lines()


@pytest.mark.spec("META-4")
def test_private_elements_are_found_in_any_block_of_their_creator() -> None:
    assert private_vr("Philips PET Private Group", 0x70531000) == "DS"
    assert private_vr("Philips PET Private Group", 0x70534200) == "DS"
    assert private_vr("Philips PET Private Group", 0x70551000) is None
    assert private_vr("Nobody", 0x70531000) is None


@pytest.mark.spec("META-4")
def test_every_private_element_is_as_in_pydicoms_dictionary() -> None:
    for creator, elements in private_dictionaries.items():
        for mask, (vr, *_) in elements.items():
            tag = int(mask.replace("x", "1"), 16)
            if tag & 0xF000 and vr != "UN" and "x" in mask[4:6]:
                assert private_vr(creator, tag) == vr.replace(" or ", "/").replace("_", "/"), (creator, mask)


def test_every_element_is_as_in_pydicoms_dictionary() -> None:
    for tag, (vr, vm, _, _, keyword) in DicomDictionary.items():
        if vr != "NONE":
            assert (vr_of(tag), vm_of(tag)) == (vr.replace(" or ", "/"), vm)
            assert keyword_of(tag) == (keyword or None)


def test_every_repeating_element_is_found_in_each_of_its_groups() -> None:
    for mask, (vr, vm, _, _, keyword) in RepeatersDictionary.items():
        for digit in "02468ACE":
            tag = int(mask.replace("x", digit), 16)
            if tag not in DicomDictionary:
                assert (vr_of(tag), vm_of(tag), keyword_of(tag)) == (vr.replace(" or ", "/"), vm, keyword)


def test_items_delimiters_private_and_unknown_tags_are_no_elements() -> None:
    for tag in (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00091001, 0x60010010, 0x00080003):
        assert (vr_of(tag), vm_of(tag), keyword_of(tag)) == (None, None, None)


@pytest.mark.spec("QIDO-10")
def test_keywords_are_compared_case_sensitively() -> None:
    assert tag_of("PatientName") == 0x00100010
    assert tag_of("patientname") is None
    assert tag_of("PatientNames") is None
    assert tag_of("") is None


def test_a_keyword_leads_back_to_its_tag() -> None:
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if vr != "NONE" and keyword:
            assert tag_of(keyword) == tag
