"""Fixtures of tests of foreign folders."""

import pytest


@pytest.fixture(scope="session")
def bert_config():
    """From changes to google-research/bert's configuration of a small BERT."""

    def changed(**changes):
        return {
            "vocab_size": 13,
            "hidden_size": 8,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": 20,
            "type_vocab_size": 2,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "initializer_range": 0.02,
        } | changes

    return changed


@pytest.fixture
def spoiled():
    """From a JSON value to its copies, each with another value somewhere."""

    def copies(value):
        for place in places(value):
            for new in (None, True, -1, 0.5, 10**30, "\0", [], {}, [[{}]]):
                yield changed_at(value, place, new)

    return copies


def places(value, place=()):
    """Every place in a JSON value."""
    yield place
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*place, key))
    elif isinstance(value, list):
        for number in range(len(value)):
            yield from places(value[number], (*place, number))


def changed_at(value, place, new):
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = changed_at(value[place[0]], place[1:], new)
    return copy
