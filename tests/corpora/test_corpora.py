"""Every file that the packages of the corpora carry: what the service gives back is what others read from it.

`exceptions.toml` lists what does not hold, with the reason; an entry that is not needed any more fails.
"""

import pytest

from tests.conformance.exchange import Exchange
from tests.corpora.comparison import Comparison, Different, Refused
from tests.corpora.files import File, corpora, identified, known

FILES = corpora()
KNOWN = known()


def found(exchange: Exchange, file: File) -> dict[str, str]:
    """The checks that do not hold, and how. A file without the identifiers that it must have is tried with them."""
    data = identified(file.data)
    if data != file.data:
        with pytest.raises(Refused, match="409"), Comparison(exchange, file.data).stored():
            pass
    comparison = Comparison(exchange, data)
    differing: dict[str, str] = {}
    try:
        with comparison.stored():
            for name, check in comparison.checks.items():
                try:
                    check()
                except Different as difference:
                    differing[name] = str(difference)
    except Refused as refusal:
        differing["stored"] = str(refusal)
    return differing


def test_the_corpora_are_there():
    assert len(FILES) > 300
    assert len({file.name for file in FILES}) == len(FILES)
    assert set(KNOWN) - {file.name for file in FILES} == set()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_is_given_back_as_others_read_it(v2, file):
    differing, expected = found(v2, file), KNOWN.get(file.name, {})

    assert {name: text for name, text in differing.items() if name not in expected} == {}
    assert set(expected) - set(differing) == set(), "these hold: take them off exceptions.toml"
