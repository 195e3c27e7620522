"""The rules by which stored documents become the data sets of answers (META-3, D-7, W-3)."""

from dataclasses import dataclass

from shared.dicomweb.json_model import finished
from shared.dicomweb.versions import ApiVersion


@dataclass(frozen=True, slots=True)
class DocumentRules:
    """The settings BULK_DATA_URIS and CHARACTER_SET_AS_STORED, for every answer that holds metadata."""

    bulk_data_uris: bool = True
    character_set_as_stored: bool = False

    def names_bulk_data(self, version: ApiVersion) -> bool:
        """Whether bulk values are named by BulkDataURI (W-3); else they are left out (META-3)."""
        return self.bulk_data_uris and version.emits_bulk_data_uri

    def finished(self, document: bytes, instance_url: str, version: ApiVersion) -> bytes:
        """The data set as `version` sends it; `instance_url` is that of its instance."""
        url = instance_url if self.names_bulk_data(version) else None
        return finished(document, url, character_set_as_stored=self.character_set_as_stored)
