"""Files de-identified in memory, and the scanner that looks for what must not be in the results."""

from collections.abc import Iterable

from shared.deidentification.file import SourceRange, pieces, wanted_bytes, wanted_values
from shared.deidentification.fragments import Fragments
from shared.deidentification.instance import Deidentified, Refused, deidentify
from shared.deidentification.key import KEY_BYTES, Key
from shared.deidentification.profile import Option, Profile
from shared.dicom.part10.bulk_data import BulkValue, find_values
from shared.dicom.part10.file_meta import read_file_meta
from shared.dicom.part10.file_reader import read_whole

KEY = Key(b"k" * KEY_BYTES)
BASIC = Profile()
ALL_OPTIONS = Profile(frozenset(Option))

_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso2022_jp_2", "shift_jis", "gb18030", "iso8859-5")


def deidentified(data: bytes, profile: Profile = BASIC, key: Key = KEY) -> bytes:
    """The file that is made of `data`."""
    result, file = with_report(data, profile, key)
    assert not isinstance(result, Refused), result.reason
    return file


def with_report(data: bytes, profile: Profile = BASIC, key: Key = KEY) -> tuple[Deidentified | Refused, bytes]:
    """The result and the file that is made of `data`: none if it is refused."""
    part10 = read_whole(data)
    result = deidentify(part10.attributes, part10.transfer_syntax_uid, profile, key)
    if isinstance(result, Refused):
        return result, b""
    values = _values(wanted_values(result), data)
    read = {path: data[one.offset : one.offset + one.length] for path, one in wanted_bytes(result, values).items()}
    made = pieces(result, part10.transfer_syntax_uid, values, read, part10.frames)
    return result, b"".join(piece if isinstance(piece, bytes) else _bytes(piece, data) for piece in made)


def _bytes(piece: SourceRange, data: bytes) -> bytes:
    found = data[piece.offset : piece.offset + piece.length]
    return Fragments(piece.fragments).clean(found) if piece.fragments else found


def _values(paths: Iterable[str], data: bytes) -> dict[str, BulkValue]:
    meta, start = read_file_meta(data)
    walk = find_values(paths, meta.coding, len(data), start=start)
    try:
        offset, _ = next(walk)
        while True:
            offset, _ = walk.send(data[offset:])
    except StopIteration as end:
        found: dict[str, BulkValue] = end.value
        return found


def leaked(file: bytes, planted: Iterable[str]) -> list[str]:
    """The planted texts that are somewhere in a file, in any case of letters and any encoding."""
    haystack = file.lower()
    return [text for text in planted if any(form in haystack for form in _forms(text))]


def _forms(text: str) -> set[bytes]:
    forms = set()
    for encoding in _ENCODINGS:
        encoded = text.encode(encoding, "ignore")
        if encoded.decode(encoding) == text:
            forms.add(encoded.lower())
    return forms
