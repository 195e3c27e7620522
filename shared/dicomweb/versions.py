"""The API version in the first path segment, and every difference between v1 and v2 (URL-1 to URL-5, dicomweb §10)."""

import re
from dataclasses import dataclass
from enum import Enum

SUPPORTED = "1.0-prerelease, 1, 2"
"""The value of `api-supported-versions` (URL-4)."""

DEPRECATED = ""
"""The value of `api-deprecated-versions`; the header is left out while no version is deprecated (URL-5)."""


class ApiVersion(Enum):
    """A version that the service speaks. Its spelling in a URL is the client's: see `urls.Urls.version_segment`."""

    V1 = 1
    V2 = 2

    @property
    def warns_instead_of_failing(self) -> bool:
        """An invalid searchable, non-required attribute is dropped with a warning instead of failing its instance."""
        return self is ApiVersion.V2

    @property
    def accepts_empty_patient_id(self) -> bool:
        """(0010,0020) may be present without a value (STOW-22)."""
        return self is ApiVersion.V2

    @property
    def checks_strictly(self) -> bool:
        """Every attribute goes through the strict checker, not the searchable ones through the minimum one (VAL-3)."""
        return self is ApiVersion.V2

    @property
    def accepts_nul_padding(self) -> bool:
        """NULs at the end of a value pass silently instead of failing LO, PN and DA."""
        return self is ApiVersion.V2

    @property
    def warnings_make_202(self) -> bool:
        """A store whose instances all succeeded, some with a warning, answers 202 instead of 200 (dicomweb §6.6)."""
        return self is ApiVersion.V2

    @property
    def always_lists_failed_attributes(self) -> bool:
        """A success item of a store response carries (0074,1048), empty when there is nothing to say."""
        return self is ApiVersion.V2

    @property
    def warns_of_required_attributes_only(self) -> bool:
        """The HTTP Warning of a multi-valued indexed attribute is raised by required attributes alone (VAL-8)."""
        return self is ApiVersion.V2

    @property
    def short_search_defaults(self) -> bool:
        """A search returns the short default attribute sets, from index rows where possible (dicomweb §8.5)."""
        return self is ApiVersion.V2

    @property
    def upserts(self) -> bool:
        """PUT stores replace existing instances (PUT-1, PUT-5)."""
        return self is ApiVersion.V2

    @property
    def expires_studies(self) -> bool:
        """The expiry headers of a store count (EXP-2)."""
        return self is ApiVersion.V2

    @property
    def emits_bulk_data_uri(self) -> bool:
        """Metadata names its bulk values by BulkDataURI instead of leaving them out (W-3)."""
        return self is ApiVersion.V2

    @property
    def feeds_by_time(self) -> bool:
        """The change feed is read by windows of time instead of windows of sequences (azure-apis §4.2)."""
        return self is ApiVersion.V2

    @property
    def feed_limits(self) -> tuple[int, int]:
        """The default and the maximum of `limit` of the change feed (CF-2)."""
        return (100, 200) if self is ApiVersion.V2 else (10, 100)

    @property
    def success_word(self) -> str:
        """The status of an operation that has succeeded (azure-apis §5)."""
        return "succeeded" if self is ApiVersion.V2 else "completed"


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A well-formed version that the service does not speak (URL-3, W-1)."""

    version: str
    """Without the leading v."""


_SPELLINGS = {
    "v1.0-prerelease": ApiVersion.V1,
    "v1-prerelease": ApiVersion.V1,
    "v1": ApiVersion.V1,
    "v1.0": ApiVersion.V1,
    "v2": ApiVersion.V2,
    "v2.0": ApiVersion.V2,
}
_WELL_FORMED = re.compile(r"v([0-9]{1,9}(?:\.[0-9]{1,9})?(?:-[a-z][a-z0-9]{0,31})?)")


def parse_version(segment: str) -> ApiVersion | Unsupported | None:
    """The version that `segment` names: one of ours, a well-formed other one, or None if it is no version at all."""
    segment = segment.lower()
    if found := _SPELLINGS.get(segment):
        return found
    other = _WELL_FORMED.fullmatch(segment)
    return Unsupported(other[1]) if other else None
