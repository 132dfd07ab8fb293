"""The steps of `labse mine` on Apache Beam: any runner, the same bytes."""

from collections.abc import Sequence

from data_pipeline.jobs import phases

# isort: split
from apache_beam.ml.inference.base import ModelHandler, RunInference

from data_pipeline.jobs.failures import run_unit

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
            run_unit(model, unit)
            yield unit

    def batch_elements_kwargs(self):
        """A shard is a batch: it has many thousands of sentences."""
        return {"min_batch_size": 1, "max_batch_size": 1}


def run_phase(
    job, step: str, units: Sequence[phases.Unit], arguments: Sequence[str]
) -> None:
    """Runs the units of a phase of a step; see `phases.run_phase`."""
    label = f"{step}: {type(units[0]).__name__}"
    transform = RunInference(EncoderHandler(job)) if step == ENCODING else None
    phases.run_phase(job, label, units, arguments, transform)
