"""RFC 9110 §13.1.2 If-None-Match: the representations that a client holds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_TAG = re.compile(r'\s*(?:W/)?(?:"([\x21\x23-\x7e\x80-\xff]*)"|([^\s",]+))\s*')


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The tags of If-None-Match, compared weakly."""

    tags: frozenset[str]
    """Without quotes and `W/`."""
    any: bool = False
    """Every representation: the value `*`."""

    @classmethod
    def parse(cls, values: Sequence[str]) -> "EntityTags":
        """The tags of the header's values. Unquoted ones are understood; a value that is no list has none (D-24)."""
        if not values:
            return NO_TAGS
        tags = frozenset(tag for value in values for tag in _listed(value))
        return cls(tags, any(value.strip() == "*" for value in values))

    def has(self, tag: str) -> bool:
        """Whether the client holds the representation that the entity tag `tag` names."""
        return self.any or tag.removeprefix("W/").strip('"') in self.tags


NO_TAGS: Final = EntityTags(frozenset())


def _listed(value: str) -> list[str]:
    tags: list[str] = []
    at = 0
    while match := _TAG.match(value, at):
        tags.append(match[1] if match[1] is not None else match[2])
        at = match.end()
        if value[at : at + 1] != ",":
            break
        at += 1
    return tags if at == len(value) else []
