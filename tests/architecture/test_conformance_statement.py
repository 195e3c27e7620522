"""The conformance statement says what the product does and what tests show."""

from tests.conformance_statement import PAGE, statement


def test_the_page_is_what_would_be_made_now():
    assert PAGE.read_text() == statement(), "make conformance-statement"
