import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.deidentification.key import KEY_BYTES, Key
from shared.dicom.identifiers import is_uid

ONE, OTHER = Key(b"1" * KEY_BYTES), Key(b"2" * KEY_BYTES)
UIDS = st.from_regex(r"\A[1-9][0-9]{0,9}(\.[1-9][0-9]{0,9}){1,4}\Z")


@pytest.mark.spec("DEID-3")
@given(one=UIDS, two=UIDS)
def test_pseudonyms_of_uids_are_uids_that_only_the_same_key_makes_again(one: str, two: str) -> None:
    assert is_uid(ONE.uid(one))
    assert ONE.uid(one).startswith("2.25.")
    assert (ONE.uid(one) == ONE.uid(two)) == (one == two)
    assert ONE.uid(one) == ONE.uid(f"{one}\0") != OTHER.uid(one)
    assert one not in ONE.uid(one)[5:] or len(one) < 6


@pytest.mark.spec("DEID-3")
@pytest.mark.parametrize("uid", ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.4.1.1", ""])
def test_what_the_standard_assigns_stays(uid: str) -> None:
    assert ONE.uid(uid) == uid


@pytest.mark.spec("DEID-3")
def test_only_what_is_registered_is_of_the_standard() -> None:
    assert ONE.uid("1.2.840.10008.19630817").startswith("2.25.")


@pytest.mark.spec("DEID-4")
@given(patient=st.text(max_size=20))
def test_days_are_never_none_and_at_most_a_year(patient: str) -> None:
    assert 1 <= abs(ONE.days(patient)) <= 365
    assert ONE.days(patient) == ONE.days(patient)


@pytest.mark.spec("DEID-4")
def test_days_go_both_ways() -> None:
    days = [ONE.days(str(number)) for number in range(200)]
    assert min(days) < 0 < max(days)
    assert len(set(days)) > 100


@pytest.mark.spec("DEID-8")
def test_a_key_does_not_show_its_secret() -> None:
    assert Key.new().secret != Key.new().secret
    assert "1111" not in repr(ONE)
    assert "1111" not in str(ONE)
    with pytest.raises(ValueError, match="32 bytes"):
        Key(b"short")
