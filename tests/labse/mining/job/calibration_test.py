import dataclasses

import pytest

from labse.mining.job import calibration, planner

pytest.importorskip("faiss", reason="needs labse[mining]")


def test_measures_every_rate(monkeypatch, tmp_path):
    monkeypatch.setattr(calibration, "_QUERIES", 512)
    monkeypatch.setattr(calibration, "_VECTORS", 4096)
    monkeypatch.setattr(calibration, "_CLUSTERED", 2048)
    monkeypatch.setattr(calibration, "_FILE_BYTES", 2**22)
    constants = calibration.calibrate(24, 50.0, tmp_path)
    assert (constants.dimension, constants.encoded) == (24, 50.0)
    for value in dataclasses.asdict(constants).values():
        for rate in value.values() if isinstance(value, dict) else [value]:
            assert rate > 0
    assert set(constants.codes_scanned) == {"sq8", "pq"}
    assert not list(tmp_path.iterdir())
    made = planner.plan(10**5, 10**5, 24, 2, 4, constants, 10**12, 10**12)
    assert made.hours > 0


def test_counts_products_not_calls(monkeypatch):
    # Twice the work in the same time is twice the rate.
    monkeypatch.setattr(calibration, "_seconds", lambda call: 1.0)
    monkeypatch.setattr(calibration, "_QUERIES", 512)
    monkeypatch.setattr(calibration, "_CLUSTERED", 1024)
    monkeypatch.setattr(calibration, "_FILE_BYTES", 2**20)
    rates = []
    for size in (4096, 8192):
        monkeypatch.setattr(calibration, "_VECTORS", size)
        rates.append(calibration.calibrate(24))
    assert rates[0].exact_products == 512 * 4096 * 24
    assert rates[1].exact_products == 2 * rates[0].exact_products
    # 256 queries, 16 of 64 lists.
    assert rates[0].codes_scanned["pq"] == 256 * 4096 / 4
    assert rates[0].codes_written["sq8"] == 2048
    assert rates[0].disk_bytes == 2**20
    assert rates[0].clustering_products == 4 * 256 * 1024 * 24
    assert rates[0].ranked == 256 * 256
    assert rates[0].encoded is None
