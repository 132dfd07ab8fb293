"""Local negatives, for comparison: no embeddings are gathered.

Without the gather of section 3.3 each of R replicas ranks its own pairs alone,
and the gradients of the R losses are averaged. Here one process computes just
that: it embeds the global batch, cuts it into the R parts that replicas would
have, and takes the mean of their losses. So computation, batches and dropout
are those of the global batch; only the negatives differ.
"""

import tensorflow as tf

from labse.configs.schema import ExperimentConfig
from labse.files.reading import ReadOptions
from labse.modeling.dual_encoder import DualEncoder
from labse.training import run_records, run_setup
from labse.training.dual_encoder_task import DualEncoderTask
from labse.training.initial_model import open_init
from labse.training.run import Run


class LocalNegatives(DualEncoder):
    """A dual encoder whose batch is ranked in equal parts.

    Attributes:
      parts: their number, R.
    """

    parts = 1

    def _loss(self, inputs, embeddings):
        losses = []
        for number in range(self.parts):
            own = tf.nest.map_structure(
                lambda rows, number=number: tf.split(rows, self.parts)[number],
                (inputs, embeddings),
            )
            losses.append(super()._loss(*own))
        return tf.add_n(losses) / self.parts


class _Task(DualEncoderTask):
    def __init__(self, parts, config, reader, tokenizer):
        super().__init__(config, reader, tokenizer)
        self._parts = parts

    def make_model(self):
        model = LocalNegatives.of_experiment(self._config)
        model.parts = self._parts
        return model


def train(
    config: ExperimentConfig,
    parts: int,
    records: str,
    vocabulary_path: str,
    out: str,
) -> bool:
    """`train_dual_encoder` on one device; the batch is ranked in parts."""
    setup = run_setup.set_up(
        config, vocabulary_path, out, run_setup.Devices("none"), "", open_init
    )
    reader = run_records.open_pairs(
        setup.config,
        [records],
        setup.folder,
        setup.tokenizer,
        ReadOptions(),
        setup.workers,
    )
    task = _Task(parts, setup.config, reader, setup.tokenizer)
    return Run(setup.folder, config.training, setup.strategy).train([task])
