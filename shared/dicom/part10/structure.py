"""PS3.5 §7 The structure of a data set: where its elements, sequences and items are, in a few bytes for each."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from shared.dicom.part10.model import InvalidPart10
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS, ValueRepresentation

MOST_NODES: Final = 1 << 22
"""Elements and items of one data set, at 18 bytes each: some times more than honest files have."""

ITEM: Final = 0xFFFEE000
BIG_ENDIAN: Final = 0x40
"""Flag of a node whose value has numbers in that order."""
ENCAPSULATED: Final = 0x80
"""Flag of a node whose value is made of fragments."""

_VRS: Final = tuple(VALUE_REPRESENTATIONS.values())
_NUMBERS: Final = {vr.name: number for number, vr in enumerate(_VRS)}
_VR_BITS, _REPEATED = 0x3F, 0x100


class Structure:
    """The nodes of a data set, numbered in the order of the file: elements, and the items of sequences."""

    __slots__ = ("_ends", "_kinds", "_nexts", "_starts", "_tags", "implicit", "oddities")

    def __init__(self) -> None:
        self.implicit = False
        """Whether the outermost elements are in implicit VR."""
        self.oddities: dict[int, str] = {}
        """By tag, a sentence about what was odd and may be a loss (STOW-17, STOW-18)."""
        self._tags = array("I")
        self._starts = array("I")
        self._ends = array("I")
        self._nexts = array("I")
        self._kinds = array("H")

    def __len__(self) -> int:
        return len(self._tags)

    def tag(self, node: int) -> int:
        """ITEM for an item."""
        return self._tags[node]

    def vr(self, node: int) -> ValueRepresentation:
        """Of an element; where the file does not say it or says nonsense, what it is taken for."""
        return _VRS[self._kinds[node] & _VR_BITS]

    def span(self, node: int) -> tuple[int, int]:
        """Where the value begins and ends. Of an encapsulated one: from the item of the basic offset table to the
        delimiter.
        """
        return self._starts[node], self._ends[node]

    def big_endian(self, node: int) -> bool:
        """Whether numbers in the value are so."""
        return bool(self._kinds[node] & BIG_ENDIAN)

    def encapsulated(self, node: int) -> bool:
        """Whether the value is made of fragments (PS3.5 §A.4)."""
        return bool(self._kinds[node] & ENCAPSULATED)

    def level(self, item: int | None = None) -> Sequence[int]:
        """The elements of an item, or the outermost ones, by ascending tag, each tag once."""
        nodes = [node for node in self._children(item) if not self._kinds[node] & _REPEATED]
        nodes.sort(key=self._tags.__getitem__)
        return nodes

    def outermost(self) -> Iterator[int]:
        """The outermost elements in the order of the file, repeated ones too."""
        return self._children(None)

    def items(self, sequence: int) -> Iterator[int]:
        """The items of a sequence."""
        return self._children(sequence)

    def _children(self, node: int | None) -> Iterator[int]:
        at, stop = (0, len(self._tags)) if node is None else (node + 1, self._nexts[node])
        while at < stop:
            yield at
            at = self._nexts[at]

    # ---- for whoever reads it

    def add(self, tag: int, vr: ValueRepresentation, start: int, end: int, flags: int = 0) -> int:
        """Adds a node without children. Raises InvalidPart10 where there are too many."""
        node = len(self._tags)
        if node == MOST_NODES:
            raise InvalidPart10("The data set has too many elements.", final=True)
        self._tags.append(tag)
        self._starts.append(start)
        self._ends.append(end)
        self._nexts.append(node + 1)
        self._kinds.append(_NUMBERS[vr.name] | flags)
        return node

    def close(self, node: int, end: int) -> None:
        """All that was added since belongs to `node`, whose value ends at `end`."""
        self._ends[node] = end
        self._nexts[node] = len(self._tags)

    def cut(self, node: int) -> None:
        """Forgets `node` and all after it."""
        for column in (self._tags, self._starts, self._ends, self._nexts, self._kinds):
            del column[node:]

    def settle(self, first: int, data: bytes) -> None:
        """Judges the repeated elements of the level whose nodes begin with `first` (STOW-19). Raises InvalidPart10."""
        seen: dict[int, int] = {}
        at = first
        while at < len(self._tags):
            earlier = seen.setdefault(self._tags[at], at)
            if earlier != at:
                if self._kinds[at] != self._kinds[earlier] or not self._same_bytes(earlier, at, data):
                    raise RepeatedElement(self._tags[at])
                self._kinds[at] |= _REPEATED
            at = self._nexts[at]

    def _same_bytes(self, one: int, other: int, data: bytes) -> bool:
        view = memoryview(data)
        return view[self._starts[one] : self._ends[one]] == view[self._starts[other] : self._ends[other]]


class NoItem(InvalidPart10):
    """A sequence that holds an element where an item or its end has to be (PS3.5 §7.5.1)."""

    def __init__(self) -> None:
        super().__init__("A sequence holds something else than items.")


class RepeatedElement(InvalidPart10):
    """An element occurs twice with different values."""

    def __init__(self, tag: int) -> None:
        super().__init__("The element occurs twice with different values", tag=tag)
