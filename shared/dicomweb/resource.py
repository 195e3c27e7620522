"""PS3.18 §10.3: a transaction as a row of the table of resources: its URL, who may call it, how it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.dicomweb.documentation import Documentation
from shared.dicomweb.path_parameters import PATH_PARAMETERS, path_parameters
from shared.dicomweb.versions import ApiVersion

READ = ("GET", "HEAD")

type UnderShare = Literal["any", "download"]
"""The shares under which a resource exists (SHR-2): any, or those that allow downloads."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A row of the table. `name` is the name of the Azure function."""

    name: str
    methods: tuple[str, ...]
    """Empty: every method."""
    template: str
    """The path behind the version and partition segments; with `versioned=False` the whole path."""
    action: str | None
    """The data action that a caller needs (AUTH-15); None: anybody may ask (AUTH-5)."""
    audit: str | None
    """Operation name in audit records (HDR-9); None: not audited (AUD-6)."""
    summary: str
    documentation: Documentation | None
    """None: documents leave the row out."""
    versioned: bool = True
    partitioned: bool = True
    create_partition: bool = False
    """The first request that names a partition creates it (PART-4)."""
    shows_own_part: bool = False
    """It belongs to no partition, and a caller sees of it what lies in those where it has the action (AUTH-22). Else
    what belongs to no partition needs the action in the whole service.
    """
    lists_partitions: bool = False
    """It exists for deployments with data partitions (PART-1)."""
    since: Mapping[str, ApiVersion] | None = None
    """Methods that only exist from a version on (PUT-5)."""
    in_prerelease: bool = True
    """It exists in `v1.0-prerelease`, too (GEN-5)."""
    under_share: UnderShare | None = None
    """The shares under which it exists; None: none (SHR-3)."""
    uids: Mapping[str, str] = field(init=False)
    """The path parameters that are UIDs, to their keywords."""

    def __post_init__(self) -> None:
        """Find the UIDs among the path parameters. Raises KeyError for a parameter that nobody has described."""
        described = {name: PATH_PARAMETERS[name] for name in path_parameters(self.template)}
        object.__setattr__(self, "uids", {name: each.uid for name, each in described.items() if each.uid})

    def exists_in(self, version: ApiVersion, method: str) -> bool:
        """Whether `method` is part of the resource in `version`."""
        first = (self.since or {}).get(method)
        return first is None or version.value >= first.value

    def path(self, *, data_partitions: bool) -> str:
        """The route template, with the partition segment exactly when partitions are switched on."""
        if not self.versioned:
            return self.template
        middle = "partitions/{partition}/" if self.partitioned and data_partitions else ""
        return f"{{version}}/{middle}{self.template}".rstrip("/")
