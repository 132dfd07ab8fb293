"""Fixtures of the benchmarks' tests."""

import importlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def ablations(monkeypatch):
    """A module of benchmarks/ablations, which is no package of the project."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.ablations.{name}")
