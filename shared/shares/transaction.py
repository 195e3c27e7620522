"""Making, listing and revoking shares (SHR-1, SHR-4, SHR-41)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, NamedTuple

from shared.concurrency import together
from shared.deidentification.key import Pseudonyms
from shared.dicomweb.confinement import Confinement
from shared.dicomweb.partitions import Partition
from shared.errors import Conflict, Forbidden, InvalidRequest, NotFound
from shared.http.json_body import WHERE, invalid_field
from shared.http.roles import Permissions
from shared.index.lookup import InstanceLookup
from shared.shares.copies import Copies
from shared.shares.model import Extent, Share, digest_of, namespace_of, new_token
from shared.shares.present import PresentStudies
from shared.shares.request import MOST_UIDS, NewShare
from shared.shares.store import ShareStore

_MOST_SHARES: Final = 1000
"""Of one data partition, those among them that have expired lately: a list of them is one answer."""
_AT_ONCE: Final = 32
"""Studies that are looked up at the same time."""
_IDENTIFIED: Final = "cohortIdentified"
_NO_SHARE: Final = "The share does not exist."


type CohortStudies = Callable[[str, str], AsyncGenerator[str]]
"""The UIDs of the studies of a cohort, by its id, that lie in a data partition, by its name. Raises NotFound; Conflict
while the run of the cohort has not succeeded.
"""


type ClinicalData = Callable[[Sequence[str], Sequence[str], Extent, Pseudonyms | None], Awaitable[dict[str, Any]]]
"""A FHIR Bundle about studies, of some of their series if any are named (SHR-6); under pseudonyms it names nobody.
"""


class MadeShare(NamedTuple):
    """A new share, with the token that opens it: known here, and never again."""

    share: Share
    token: str


class ListedShare(NamedTuple):
    """A share as its maker sees it."""

    share: Share
    copy: str
    """How its de-identified copy stands: `making`, `complete`, `failed`; empty: it has none."""


class Shares:
    """The shares of a service. `cohort_studies`, `clinical_data` None: there is no FHIR server to read from; `copies`
    None: none can be made, since operations are switched off.
    """

    def __init__(
        self,
        store: ShareStore,
        lookup: InstanceLookup,
        now: Callable[[], float],
        *,
        cohort_studies: CohortStudies | None = None,
        clinical_data: ClinicalData | None = None,
        copies: Copies | None = None,
    ) -> None:
        self._store = store
        self._copies = copies
        self._present = PresentStudies(lookup, now)
        self._lookup = lookup
        self._now = now
        self._cohort_studies = cohort_studies
        self._clinical_data = clinical_data

    async def make(self, wanted: NewShare, partition: Partition, permissions: Permissions) -> MadeShare:
        """A new share of a data partition.

        Raises NotFound for a study, series or cohort that is not there, Forbidden for what the maker may not see
        itself, InvalidRequest, Conflict.
        """
        if wanted.cohort or wanted.clinical is not Extent.NONE:
            self._check_identified(wanted, partition, permissions)
        if wanted.deidentified and self._copies is None:
            raise InvalidRequest("A de-identified share needs operations, which are switched off.", where=WHERE)
        studies, series_of = wanted.studies, dict[str, str]()
        if studies is not None:
            series_of = await self._check_present(partition, studies, wanted.series)
        elif wanted.cohort:
            studies = await self._of_cohort(wanted.cohort, partition)
        if await self._store.count(partition.namespace) >= _MOST_SHARES:
            raise Conflict(
                f"The data partition has {_MOST_SHARES} shares, which is the most.",
                remedy="Revoke those that nobody needs.",
            )
        share_id, token = new_token(partition.namespace)
        created = self._now()
        share = Share(
            id=share_id,
            digest=digest_of(token),
            partition=partition.name,
            created=created,
            expires=created + wanted.lasts.total_seconds(),
            studies=studies,
            series=wanted.series,
            cohort=wanted.cohort,
            label=wanted.label,
            recipient=wanted.recipient,
            downloads=wanted.downloads,
            clinical=wanted.clinical,
        )
        if not wanted.deidentified or self._copies is None:
            await self._store.add(share)
            return MadeShare(share, token)
        identifiers = [f"{series_of[each]}/{each}" for each in wanted.series] or studies or ()
        begun = await self._copies.begin(share_id, studies or (), identifiers)
        share = replace(share, copies=begun.studies, operation=begun.operation, complete=False)
        await self._store.add(share)
        await self._copies.start(share)
        return MadeShare(share, token)

    async def all(self, partition: Partition) -> list[ListedShare]:
        """The shares of a data partition, newest first."""
        found = await self._store.all(partition.namespace)
        return [ListedShare(each, await self._state(each)) for each in found]

    async def _state(self, share: Share) -> str:
        return await self._copies.state(share) if share.deidentified and self._copies else ""

    async def revoke(self, share_id: str, partition: Partition) -> None:
        """End a share: no request that comes later is answered under it. Raises NotFound."""
        if namespace_of(share_id) != partition.namespace or not await self._store.remove(share_id):
            raise NotFound(_NO_SHARE, remedy="GET /v2/shares lists those that there are.")

    async def clinical(self, share_id: str, within: Confinement | None) -> dict[str, Any]:
        """The clinical data of a share, for the bearer of its token: a FHIR Bundle. Raises NotFound, RequestFailed."""
        stored = await self._store.get(share_id) if within is not None and within.share == share_id else None
        share = stored.share if stored else None
        if share is None or share.clinical is Extent.NONE or share.studies is None or self._clinical_data is None:
            raise NotFound(_NO_SHARE)
        pseudonyms = None
        if share.deidentified:
            pseudonyms = await self._copies.pseudonyms(share) if self._copies else None
            if pseudonyms is None:
                raise NotFound(_NO_SHARE)
        present = await self._present.of(share)
        return await self._clinical_data(present, share.series, share.clinical, pseudonyms)

    # ------------------------------------------------------------------------------------------------------- inside

    def _check_identified(self, wanted: NewShare, partition: Partition, permissions: Permissions) -> None:
        clinical = wanted.clinical is not Extent.NONE
        if (wanted.cohort and self._cohort_studies is None) or (clinical and self._clinical_data is None):
            raise InvalidRequest("A share of a cohort, or with clinical data, needs a FHIR server.", where=WHERE)
        if partition.name not in permissions.scope(_IDENTIFIED):
            raise Forbidden(
                "Authorization failed.",
                remedy=f"Ask the administrator of the service for a role with the data action {_IDENTIFIED}.",
            )

    async def _check_present(
        self, partition: Partition, studies: tuple[str, ...], series: tuple[str, ...]
    ) -> dict[str, str]:
        """The studies of all series. Raises NotFound."""
        slots = asyncio.Semaphore(_AT_ONCE)
        present: dict[str, str] = {}

        async def look(study: str) -> None:
            async with slots:
                view = await self._lookup.study(partition, study)
            if view is None:
                raise NotFound(f"The study {study} does not exist.", where=f"{WHERE}, studies")
            present.update(dict.fromkeys(view.series, study))

        await together(*map(look, studies))
        for each in series:
            if each not in present:
                raise NotFound(f"The series {each} is not in any of the studies.", where=f"{WHERE}, series")
        return present

    async def _of_cohort(self, cohort_id: str, partition: Partition) -> tuple[str, ...]:
        """The studies of a cohort. Raises InvalidRequest, NotFound, Conflict."""
        if self._cohort_studies is None:
            raise InvalidRequest("There are no cohorts without a FHIR server.", where=WHERE)
        found: dict[str, None] = {}
        async with aclosing(self._cohort_studies(cohort_id, partition.name)) as studies:
            async for study in studies:
                found[study] = None
                if len(found) > MOST_UIDS:
                    raise invalid_field("cohort", f"It has more than {MOST_UIDS} studies; share a partition.")
        if not found:
            raise invalid_field("cohort", "It has no study in this data partition.")
        return tuple(found)
