"""Sources as they were found when somebody first looked: what is to be done is decided by one look at each.

A run over a hundred views that read ten sources asks ten times how they are, whatever comes of it: also that a source
can not be read, which may take a time-out to find out.
"""

from __future__ import annotations

from featurestore.errors import SourceError
from featurestore.intervals import Interval
from featurestore.ports.source_reader import SourceReader, SourceSnapshot
from featurestore.spec.source import Source


class SourcesOnce:
    """A SourceReader for as long as one run takes. Rows that are to be stored are read from the source itself: they
    have to be those of a moment after the table's version was looked at."""

    def __init__(self, sources: SourceReader) -> None:
        self._sources = sources
        self._found: dict[Source, SourceSnapshot | SourceError] = {}

    def read(self, source: Source, *, within: Interval | None = None) -> SourceSnapshot:
        if within is not None:
            return self._sources.read(source, within=within)
        if source not in self._found:
            self._found[source] = self._looked_at(source)
        found = self._found[source]
        if isinstance(found, SourceError):
            raise found
        return found

    def _looked_at(self, source: Source) -> SourceSnapshot | SourceError:
        try:
            return self._sources.read(source)
        except SourceError as error:
            return error
