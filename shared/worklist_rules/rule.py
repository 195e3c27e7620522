"""AIX-2 A worklist rule: the series that it is about, and the workitem that a study with such series gets. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.dicom.attributes import Attributes, parse_attribute_id
from shared.dicom.dictionary import vr_of
from shared.dicom.key_values import attribute_match
from shared.dicom.matching import AttributeMatch

_NAMES: Final = uuid.UUID("5b0c1cf8-6f0e-4f5d-9a3b-3c1c5f3f5a86")
"""The name space of the UIDs of workitems: it never changes, or every study would get each of them once more."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a series: an attribute that matches one of some values."""

    path: str
    """Tags of 8 upper-case hex digits, joined by a dot."""
    matches: tuple[AttributeMatch, ...] = field(repr=False)


def condition(name: str, values: Sequence[str]) -> Condition:
    """The condition that an attribute matches one of `values`, each as in a search. Raises InvalidRequest."""
    path = parse_attribute_id(name)
    vr = vr_of(path.tags[-1]) or "UN"
    return Condition(path.key, tuple(attribute_match(vr, value, empty_value=True) for value in values))


@dataclass(frozen=True, slots=True)
class WorklistRule:
    """A rule of a data partition."""

    id: str
    """32 hexadecimal digits."""
    namespace: str
    """Of the data partition."""
    name: str
    conditions: tuple[Condition, ...]
    """All of them must be met by a series."""
    minimum_instances: int
    """A series of fewer does not match."""
    quiet_seconds: int
    """So long nothing must have been stored in a study before it gets its workitem."""
    created_ms: int
    """Series that were first stored before do not match. In milliseconds since 1970."""
    enabled: bool
    """Else it makes nothing."""
    document: Mapping[str, Any] = field(repr=False)
    """The view of clients, as it was checked."""

    @property
    def template(self) -> Attributes:
        """The attributes that its workitems have beside those of the study."""
        template: Attributes = self.document["template"]
        return template

    def workitem_uid(self, study: str) -> str:
        """The workitem of a study: always the same one, so that making it again makes nothing."""
        return f"2.25.{uuid.uuid5(_NAMES, f'{self.id} {self.namespace} {study}').int}"


def rule_of(rule_id: str, namespace: str, created_ms: int, document: Mapping[str, Any]) -> WorklistRule:
    """The rule that a checked document describes. Raises InvalidRequest."""
    return WorklistRule(
        rule_id,
        namespace,
        document["name"],
        tuple(condition(name, values) for name, values in document["filter"].items()),
        document["minimumInstances"],
        document["quietSeconds"],
        created_ms,
        document.get("enabled", True),  # a rule that was made before rules could be switched off does not say
        document,
    )
