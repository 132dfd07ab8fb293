import runpy
import sys
from pathlib import Path

import numpy as np

import labse

_EXAMPLES = Path(__file__).parents[2] / "examples"
_TABLE = """source\ttarget\tsource_language\ttarget_language
the dog\tder Hund\ten\tde
the cat\tle "chat\ten\tfr
the cow\tla mucca\ten\tit
"""
_VECTORS = {
    **{"the dog": [1, 0], "the cat": [0, 1], "the cow": [0.6, 0.8]},
    **{"der Hund": [1, 0], 'le "chat': [0, 1]},
}


class _Model:
    def encode(self, texts):
        return np.array([_VECTORS[text] for text in texts], np.float32)


def test_prints_the_nearest_english_strings(monkeypatch, capsys, tmp_path):
    heldout = tmp_path / "heldout.tsv"
    heldout.write_text(_TABLE, encoding="utf-8")
    monkeypatch.setitem(labse.__dict__, "load", lambda path: _Model())
    script = str(_EXAMPLES / "nearest_translations.py")
    monkeypatch.setattr(sys, "argv", [script, "run", str(heldout)])
    runpy.run_path(script, run_name="__main__")
    assert capsys.readouterr().out == (
        "der Hund\n"
        "    1.000  the dog\n"
        "    0.600  the cow\n"
        "    0.000  the cat\n"
        'le "chat\n'
        "    1.000  the cat\n"
        "    0.800  the cow\n"
        "    0.000  the dog\n"
    )
