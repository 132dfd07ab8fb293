"""A mining job's plan without its texts, model and machine."""

import numpy as np

from labse.mining.job.plan import JobSize, MachineSpeed, Plan, choose_plan
from labse.mining.job.settings import Settings

# Rates of exact search on two cores of an AMD EPYC (docs/mining_at_scale.md,
# "Hours").
SEARCH_PRODUCTS, SEARCH_ROW_SECONDS = 1.6e11, 2e-5


def assumed_plan(
    num_source: int, num_target: int, dimension: int, sentences: float
) -> Plan:
    """The plan of a job with default settings, and memory and disk enough.

    Args:
      num_source: sentences of the source's side.
      num_target: of the target's.
      dimension: of the model's vectors.
      sentences: that are encoded in a second. The search is taken to be as
        fast as in docs/mining_at_scale.md.

    Raises:
      InputError: a number is less than 1.
    """
    settings = Settings()
    size = JobSize(
        num_source,
        num_target,
        dimension,
        np.dtype(settings.vector_type).itemsize,
        settings.k,
    )
    speed = MachineSpeed(sentences, SEARCH_PRODUCTS, SEARCH_ROW_SECONDS)
    unlimited = float("inf")
    return choose_plan(size, speed, unlimited, unlimited)
