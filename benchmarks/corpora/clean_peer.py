"""The peer of `clean`: datatrove, in an environment of its own.

  python clean_peer.py filters|spans IN OUT WORKERS

`filters` is C4QualityFilter with the numbers that labse has; `spans` also drops
three-sentence spans that occur before, which datatrove does in three stages.
"""

import sys

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    SentDedupConfig,
    SentenceDedupFilter,
    SentenceDedupSignature,
    SentenceFindDedups,
)
from datatrove.pipeline.filters import C4QualityFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

_TASKS = 8


def _run(out: str, name: str, steps: list, workers: int, tasks: int = _TASKS):
    LocalPipelineExecutor(
        pipeline=steps,
        tasks=tasks,
        workers=workers,
        logging_dir=f"{out}/logs/{name}",
    ).run()


def main() -> None:
    """Runs a case."""
    case, folder, out, workers = sys.argv[1:]
    workers = int(workers)
    read = JsonlReader(folder, text_key="text", id_key="id")
    clean = C4QualityFilter(min_num_sentences=3, min_words_per_line=3)
    if case == "filters":
        _run(out, case, [read, clean, JsonlWriter(f"{out}/kept")], workers)
        return
    config = SentDedupConfig(min_doc_words=0, min_num_sentences=0)
    filtered, signatures = f"{out}/filtered", f"{out}/signatures"
    steps = [read, clean, JsonlWriter(filtered)]
    steps += [SentenceDedupSignature(signatures, config=config)]
    _run(out, "signatures", steps, workers)
    found = f"{out}/found"
    steps = [SentenceFindDedups(signatures, found, config=config)]
    _run(out, "find", steps, 1, 1)
    steps = [
        JsonlReader(filtered),
        SentenceDedupFilter(found, config=config),
        JsonlWriter(f"{out}/kept"),
    ]
    _run(out, "drop", steps, workers)


if __name__ == "__main__":
    main()
