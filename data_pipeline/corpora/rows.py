"""Rows of the formats of `labse.files` as documents."""

from collections.abc import Iterator

from data_pipeline.corpora.main_text import paragraphs_of
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Dropped, Drops
from labse import features
from labse.files.formats.txt import TXT
from labse.files.kinds import kind_of, open_rows
from labse.files.pairs import parse_pair
from labse.files.reading import (
    UNKNOWN_LANGUAGE,
    Fields,
    MalformedRow,
    ReadOptions,
    Tally,
    optional_text,
)
from labse.files.texts import parse_text, text_column
