import numpy as np
import pytest

from data_pipeline.cleaning.job.bits import Bits


@pytest.mark.parametrize("count", [0, 1, 8, 100])
def test_bits_are_set_and_read(tmp_path, count):
    chosen = np.array([n for n in (0, 7, 8, 9, 63, 99) if n < count], int)
    bits = Bits.zeros(count)
    bits.set(chosen)
    bits.write(tmp_path / "bits")
    found = Bits.read(tmp_path / "bits").get(np.arange(count))
    assert np.flatnonzero(found).tolist() == chosen.tolist()
