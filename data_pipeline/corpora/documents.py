"""Documents out of corpora of any kind."""

import os
from collections.abc import Iterable, Iterator

from data_pipeline.corpora.kinds import ARCHIVE, DUMP, HTML, corpus_kind
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops
from labse.files.kinds import find_pair_files
from labse.files.reading import ReadOptions


def find_corpora(patterns: Iterable[str | os.PathLike]) -> list[str]:
    """The files that patterns name, each once; as `labse.files` finds them.

    Raises:
      InputError: no file matches a pattern; or a file is of no kind that is
        read, or not what its name says.
    """
    files = find_pair_files(patterns)
    for path in files:
        corpus_kind(path)
    return files


def read_documents(
    path: str, options: ReadOptions, drops: Drops
) -> Iterator[Document]:
    """Yields the documents of one file, in its order.

    Args:
      path: one of `find_corpora`.
      options: of files of rows.
      drops: counts records, pages and rows that give no document.

    Raises:
      InputError: the file is of another kind; or in files of rows, breaks a
        rule, or at its end, has too many malformed rows.
    """
    kind = corpus_kind(path)
    if kind == ARCHIVE:
        from data_pipeline.corpora.pages import read_archive

        return read_archive(path, drops)
    if kind == HTML:
        from data_pipeline.corpora.pages import read_html_file

        return read_html_file(path, drops)
    if kind == DUMP:
        from data_pipeline.corpora.dumps import read_dump

        return read_dump(path, drops)
    from data_pipeline.corpora.rows import read_rows

    return read_rows(path, options, drops)
