"""examples/open_pairs.py on a folder of a few lines."""

import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parents[2] / "examples" / "open_pairs.py"
FILES = {
    "tatoeba_challenge_train/deu-eng.tsv": "Hund\tdog\nKatze\tcat\nHund\tdog\n",
    "tatoeba_challenge_train/deu_Latn-eng.tsv": "Hund\tdog\n",
    "bible_nt/en-web.txt": "In the beginning\n\n" + "long " * 40 + "\n",
    "bible_nt/de-elb.txt": "Im Anfang\nleer\nlang\n",
    "wikimedia_ui/en.tsv": "a:b\tSave\na:c\tOpen\n",
    "wikimedia_ui/de.tsv": "a:b\tSichern\na:d\tFremd\n",
    "wikimedia_ui/qq.tsv": "a:b\tA label\n",
}


def test_pairs_of_three_sources(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    out = tmp_path / "pairs.tsv"
    process = subprocess.run(
        [sys.executable, SCRIPT, str(tmp_path / "data"), str(out)],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert out.read_text("utf-8").split("\n") == [
        "source\ttarget\tsource_language\ttarget_language\tcorpus",
        "dog\tHund\ten\tdeu\ttatoeba_challenge_train",
        "cat\tKatze\ten\tdeu\ttatoeba_challenge_train",
        "In the beginning\tIm Anfang\ten\tde\tbible_nt",
        "Save\tSichern\ten\tde\twikimedia_ui",
        "",
    ]
    assert "2 pairs of tatoeba_challenge_train" in process.stderr
