"""The steps of `labse mine` on Apache Beam: any runner, the same bytes.

A phase of a step is a pipeline, its units are the elements. Workers share the
job's work folder (a network file system), so a unit is only a name: the files
it writes are there when the next phase begins, and a pipeline that was killed
resumes.
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
            model.run(unit)
            yield unit

    def batch_elements_kwargs(self):
        """A shard is a batch: it has many thousands of sentences."""
        return {"min_batch_size": 1, "max_batch_size": 1}


class _DoUnit(beam.DoFn):
    def __init__(self, job):
        self._job = job

    def process(self, unit) -> Iterable:
        self._job.run(unit)
        yield unit


def run_step(job, step: str, arguments: Sequence[str]) -> None:
    """Runs all phases of a step.

    Args:
      job: a `labse.mining.job.mining_job.MiningJob`, sent to the workers.
      step: one of its steps.
      arguments: Beam's flags, as `--runner=FlinkRunner`.

    Raises:
      InputError: there is no such runner, a worker raised one, or a unit was
        lost.
    """
    for phase in job.phases(step):
        try:
            _run_phase(job, step, phase, arguments)
        except Exception as error:
            # A runner returns a worker's error as text, if at all.
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
            f"--runner must be one of Beam's. Received: {name} ({error})."
        ) from error


def _run_phase(job, step, phase, arguments) -> None:
    label = f"{step}: {phase[0].method}"
    with beam.Pipeline(options=PipelineOptions(list(arguments))) as pipeline:
        units = (
            pipeline
            | f"{label}, units" >> beam.Create(phase)
            | "one worker each" >> beam.Reshuffle()
        )
        if step == ENCODING:
            done = units | label >> RunInference(EncoderHandler(job))
        else:
            done = units | label >> beam.ParDo(_DoUnit(job))
        _ = (
            done
            | "count" >> beam.combiners.Count.Globally()
            | "all came back" >> beam.Map(_check_count, len(phase))
        )


def _check_count(done: int, expected: int) -> None:
    if done != expected:
        raise InputError(
            f"{done} of {expected} units of work were done. Run the same "
            "command again to resume."
        )
