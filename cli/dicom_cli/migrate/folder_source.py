"""The DICOM files of a folder, in any structure (MIG-4)."""

from collections.abc import Iterator
from pathlib import Path

from dicom_cli.importing.folder import LocalFile, files_of
from dicom_cli.importing.identifiers import identifiers
from dicom_cli.migrate.model import Entry, Place, SourceFailed
from dicom_cli.migrate.spool import SpooledFile
from dicom_cli.migrate.state import MigrationState


class FolderSource:
    """One folder, with what is in zip archives below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self.name = str(self._folder)
        self._files: dict[str, LocalFile] = {}

    def entries(self, state: MigrationState) -> Iterator[Entry]:
        """The instances; what is no DICOM, or names no instance, is noted."""
        for file in files_of(self._folder, archives=True):
            if not isinstance(file, LocalFile):
                state.pass_over(file.name, file.reason)
                continue
            found = identifiers(file)
            if found is None or not found.complete:
                state.pass_over(file.name, "its UIDs cannot be read")
                continue
            place = Place(found.study, found.series, found.sop_instance)
            known = state.get(place)
            if known is not None and known.name != file.name:
                state.pass_over(file.name, f"the same instance as {known.name}")
                continue
            self._files[file.name] = file
            entry = Entry(place, file.name, length=file.length)
            state.add([entry])
            yield entry

    def fetch(self, entry: Entry, into: SpooledFile, *, original: bool = False) -> None:
        """Take a file, completed by what it lacks. Raises SourceFailed."""
        file = self._files.get(entry.name)
        if file is None or original:
            raise SourceFailed("the file is not there any more")
        try:
            with file.open() as stream:
                into.fill_with(stream, file.prefix)
        except OSError as error:
            raise SourceFailed(f"the file cannot be read: {error.strerror}") from None
