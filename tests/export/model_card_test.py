import json
import pathlib
import shutil

import pytest

from export import model_card
from labse.checkpoints import run_folder


@pytest.fixture(scope="module")
def loaded(run):
    encoder, config, _ = run_folder.load_encoder(run)
    return encoder, config


def test_card_has_the_figures_of_the_run(exported, loaded):
    encoder, config = loaded
    card = (exported / "README.md").read_text(encoding="utf-8")
    pieces = config.encoder.vocab_size
    # 16 numbers a piece.
    assert f"({16 * pieces:,} of them word embeddings)" in card
    assert f"{encoder.count_params():,} (" in card
    assert "| encoder | 2 blocks, hidden size 16, 2 heads" in card
    assert "`checkpoints/last/ckpt-700`" in card
    assert "the last block's [CLS] (`cls`), l2-normalised" in card
    assert "Texts are cut at 48 tokens" in card
    # Nothing was measured, so nothing is claimed.
    assert "The run recorded none." in card
    for way in ("hub.KerasLayer(", "labse.load(", "docker run", "curl "):
        assert way in card


def test_card_quotes_what_the_run_measured(run, loaded, tmp_path):
    encoder, config = loaded
    copy = pathlib.Path(shutil.copytree(run, tmp_path / "measured"))
    (copy / "metrics.json").write_text(
        json.dumps(
            {
                "task": "tatoeba",
                "macro_average": {"target_to_source": 0.95012},
                "languages": [{"language": "de", "target_to_source": 0.9}],
            }
        )
    )
    (copy / "history.jsonl").write_text(
        '{"step": 100, "validation": {"accuracy": 0.25}}\n'
        '{"step": 200, "validation": {"accuracy": 0.5, "languages": {}}}\n'
        '{"step": 210, "loss": 2.5}\n'
    )
    card = model_card.render(copy, "checkpoints/best/ckpt-2", config, encoder)
    assert "| macro_average.target_to_source | 0.9501 |" in card
    assert "| step | 200 |\n| accuracy | 0.5 |" in card
    assert "language" not in card.partition("metrics.json")[2][:200]
    assert "The run recorded none." not in card
