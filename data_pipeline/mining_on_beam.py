"""The steps of `labse mine` on Apache Beam: any runner, the same bytes.

A phase of a step is a pipeline, and its units are the elements: small objects
with `run(job)`. Workers share the job's work folder on a network file system.
What a unit writes is there when the next phase begins, so a pipeline that was
killed resumes.
"""

from collections.abc import Iterable, Sequence

import apache_beam as beam
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.runner import create_runner

from labse.errors import InputError

ENCODING = "embed"


class EncoderHandler(ModelHandler):
    """Embeds shards; the model is loaded once in each process."""

    def __init__(self, job):
        """Takes the job, whose model is loaded by `load_model`."""
        super().__init__()
        self._job = job

    def load_model(self):
        """The job, its model in memory."""
        self._job.encode_fn  # noqa: B018  Loads.
        return self._job

    def run_inference(self, batch: Sequence, model, inference_args=None):
        """Embeds each shard of a batch and yields its unit."""
        for unit in batch:
            unit.run(model)
            yield unit

    def batch_elements_kwargs(self):
        """A shard is a batch: it has many thousands of sentences."""
        return {"min_batch_size": 1, "max_batch_size": 1}


class _DoUnit(beam.DoFn):
    def __init__(self, job):
        self._job = job

    def process(self, unit) -> Iterable:
        unit.run(self._job)
        yield unit


def run_phase(
    job, step: str, units: Sequence, arguments: Sequence[str]
) -> None:
    """Runs the units of a phase as a pipeline.

    Args:
      job: a `MiningJob`, which is sent to the workers.
      step: the name of the step.
      units: of the phase; each has `run(job)` and can be pickled.
      arguments: Beam's flags, such as `--runner=FlinkRunner`.

    Raises:
      InputError: a worker raised one.
    """
    try:
        _run_pipeline(job, step, units, arguments)
    except Exception as error:
        # A runner passes on a worker's error as text, if at all.
        found = [
            line.partition("InputError: ")[2]
            for line in str(error).splitlines()
            if "InputError: " in line
        ]
        if not found:
            raise
        message = found[-1].split(" [while running")[0]
        raise InputError(message) from error


def check_runner(arguments: Sequence[str]) -> None:
    """Raises `InputError` if Beam has no such runner."""
    name = PipelineOptions(list(arguments)).view_as(StandardOptions).runner
    try:
        create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(
            f"runner must be one of Beam's. Received: {name} ({error})."
        ) from error


def _run_pipeline(job, step, units, arguments) -> None:
    label = f"{step}: {type(units[0]).__name__}"
    with beam.Pipeline(options=PipelineOptions(list(arguments))) as pipeline:
        elements = (
            pipeline
            | f"{label}, units" >> beam.Create(units)
            | "one worker each" >> beam.Reshuffle()
        )
        if step == ENCODING:
            done = elements | label >> RunInference(EncoderHandler(job))
        else:
            done = elements | label >> beam.ParDo(_DoUnit(job))
        _ = (
            done
            | "count" >> beam.combiners.Count.Globally()
            | "all are done" >> beam.Map(_check_count, len(units))
        )


def _check_count(done: int, expected: int) -> None:
    if done != expected:
        raise ValueError(f"{done} of {expected} units of work are done.")
