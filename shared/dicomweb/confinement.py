"""The closed set of studies to which a caller is confined: that of a share (exchange §1)."""

from dataclasses import dataclass, field

from shared.dicom.identifiers import ResourceIdentifier


@dataclass(frozen=True, slots=True)
class Confinement:
    """The part of one data partition that the caller of a request may see. UIDs are trimmed."""

    share: str
    """Id of the share."""
    partition: str
    """The name of the data partition."""
    studies: frozenset[str] | None
    """None: every study of the partition."""
    series: frozenset[str] = frozenset()
    """Of these studies; none: all of them."""
    downloads: bool = True
    """Whether whole instances and archives of them may be retrieved, not only shown (SHR-2)."""
    key: bytes = field(default=b"", repr=False)
    """Makes the UIDs that stand for those outside."""
    namespace: str = ""
    """Where the studies are, if they are copies: a hidden namespace (SHR-7)."""
    complete: bool = True
    """Whether the copies have all been made."""

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole partition."""
        return self.studies is None and not self.series

    def has_study(self, study: str) -> bool:
        """Whether a study lies inside, or some of its series may."""
        return self.studies is None or study in self.studies

    def has_series(self, study: str, series: str) -> bool:
        """Whether a series of that study lies inside."""
        return self.has_study(study) and (not self.series or series in self.series)

    def has(self, scope: ResourceIdentifier) -> bool:
        """Whether a study, series or instance may lie inside."""
        if scope.series_instance_uid is None:
            return self.has_study(scope.study_instance_uid)
        return self.has_series(scope.study_instance_uid, scope.series_instance_uid)
