"""An export of an encoder without blocks."""

import numpy as np
import pytest

import labse
from export import export_folder
from export.checks import content_checks, vector_checks
from export.checks.subject import Subject
from labse.checkpoints import recognition


@pytest.fixture(scope="module")
def exported(make_run, tmp_path_factory):
    run = make_run("mean_tanh", num_layers=0)
    out = tmp_path_factory.mktemp("export") / "averaging"
    return run, export_folder.export_run(run, str(out))


def test_it_passes_the_checks_in_which_it_differs(exported):
    subject = Subject(exported[1])
    assert content_checks.pooling(subject) == "mean_tanh"
    for check in (
        vector_checks.text,
        vector_checks.outputs,
        vector_checks.dropout,
    ):
        assert "largest difference" in check(subject)


def test_it_is_loaded_and_opened_like_its_run(exported):
    texts = ["the bus was", "walking", ""]
    one, other = (labse.load(path).encode(texts) for path in exported)
    np.testing.assert_allclose(one, other, atol=1e-6)
    source = recognition.open_model(str(exported[1]))
    assert source.config.encoder.num_layers == 0


def test_the_card_says_what_it_is(exported):
    card = (exported[1] / "README.md").read_text()
    assert "| encoder | no block: a deep averaging network of 16 |" in card
    assert "tanh pooler over the mean of the pieces' embeddings" in card
