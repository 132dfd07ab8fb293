"""All formats of files; a new one is a module beside this and a line here."""

from labse.files.formats.jsonl import JSONL
from labse.files.formats.moses import MOSES, MOSES_ZIP
from labse.files.formats.parquet import PARQUET
from labse.files.formats.row_format import Format
from labse.files.formats.tfrecord import TFRECORD
from labse.files.formats.tmx import TMX
from labse.files.formats.tsv import TSV
from labse.files.formats.txt import TXT

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (TXT, TSV, JSONL, PARQUET, TFRECORD, TMX, MOSES, MOSES_ZIP)
}
