"""The common parts of FHIR resources: identity, version, references (dicomcast §3.4, FHIR R4 §2.21). Pure.

A resource is a plain dictionary, as JSON has it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

type Resource = Mapping[str, Any]
"""A resource, or another JSON object of FHIR."""

_TOKEN_ESCAPES = str.maketrans({each: f"\\{each}" for each in "\\,$|"})


def resource_id(resource: Resource) -> str:
    """The logical id; empty if it has none."""
    found = resource.get("id")
    return found if isinstance(found, str) else ""


def version_id(resource: Resource) -> str:
    """`meta.versionId`, an opaque text (CAST-SR-7); empty if it has none."""
    meta = resource.get("meta")
    found = meta.get("versionId") if isinstance(meta, Mapping) else None
    return found if isinstance(found, str) else ""


def local_reference(resource: Resource) -> str:
    """`Type/id`."""
    return f"{resource.get('resourceType', '')}/{resource_id(resource)}"


def relative_reference(base: str, reference: str) -> str:
    """A reference as `Type/id` where it names a resource of the server at `base`, without a version (CAST-SR-6)."""
    prefix = f"{base.rstrip('/')}/"
    local = reference.removeprefix(prefix)
    if "://" in local or local.startswith(("urn:", "#")):
        return local
    return local.partition("/_history/")[0]


def referenced(element: Any, base: str) -> str:
    """The resource that a Reference names, as `relative_reference` has it; empty if it names none."""
    reference = element.get("reference") if isinstance(element, Mapping) else None
    return relative_reference(base, reference) if isinstance(reference, str) else ""


def identifiers(resource: Resource) -> Iterator[tuple[str, str]]:
    """System and value of each identifier; an absent one is the empty text."""
    for each in elements(resource, "identifier"):
        system, value = each.get("system"), each.get("value")
        yield system if isinstance(system, str) else "", value if isinstance(value, str) else ""


def elements(resource: Resource, name: str) -> list[Resource]:
    """The objects of a repeated element; [] where it is absent or no list."""
    values = resource.get(name)
    return [each for each in values if isinstance(each, Mapping)] if isinstance(values, list) else []


def token(system: str, value: str) -> str:
    """A search value of type token for exactly that system, none if it is empty; escaped (CAST-SR-1)."""
    return f"{system.translate(_TOKEN_ESCAPES)}|{value.translate(_TOKEN_ESCAPES)}"


def escaped(value: str) -> str:
    """A search value in which no character has a meaning of its own (R4 §3.1.1.4.0.1)."""
    return value.translate(_TOKEN_ESCAPES)
