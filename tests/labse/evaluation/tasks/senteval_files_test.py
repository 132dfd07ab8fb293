"""SentEval's files: order of items, encodings, and errors in them."""

import numpy as np
import pytest

from labse.errors import InputError
from labse.evaluation.tasks import senteval_files


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def _repeat(line, count=12):
    return line * count


def _write_mpqa(folder, positive, negative):
    _write(folder / "MPQA" / "mpqa.pos", positive)
    _write(folder / "MPQA" / "mpqa.neg", negative)


def test_items_in_sentevals_order(tmp_path):
    # By words, then by label; among equals the order of the lines stays.
    _write_mpqa(
        tmp_path,
        "c c c\nb  b\r\na2 \na1\n" + _repeat("x x x x\n"),
        "d\nf f\n\ne e e\n" + _repeat("y\n"),
    )
    examples = senteval_files.read_sets(tmp_path)["MPQA"]["test"]
    found = [text for (text,) in examples.texts]
    assert found[:2] == [".", "d"]  # The empty line has no word.
    assert found[2:14] == ["y"] * 12
    assert found[14:] == [
        *["a2", "a1", "f f", "b b", "e e e", "c c c"],
        *["x x x x"] * 12,
    ]
    assert examples.labels.tolist() == [
        *[0] * 14,
        *[1, 1, 0, 1, 0, 1],
        *[1] * 12,
    ]
    assert examples.labels.dtype == np.int64


def test_subj_counts_objective_as_one(tmp_path):
    _write(tmp_path / "SUBJ" / "subj.objective", _repeat("fact\n"))
    _write(tmp_path / "SUBJ" / "subj.subjective", _repeat("view\n"))
    examples = senteval_files.read_sets(tmp_path)["SUBJ"]["test"]
    assert dict(zip(examples.texts, examples.labels, strict=True)) == {
        ("fact",): 1,
        ("view",): 0,
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252"])
def test_encodings_of_the_old_sets(tmp_path, encoding):
    _write_mpqa(
        tmp_path, _repeat("naïve – “fin”\n").encode(encoding), _repeat("n\n")
    )
    examples = senteval_files.read_sets(tmp_path)["MPQA"]["test"]
    assert examples.texts[-1] == ("naïve – “fin”",)


def test_other_encodings(tmp_path):
    _write_mpqa(tmp_path, _repeat("a\n").encode() + b"\x81\n", _repeat("n\n"))
    with pytest.raises(InputError, match=r"mpqa\.pos:13: .*windows-1252"):
        senteval_files.read_sets(tmp_path)
    for part in ("train", "dev", "test"):
        _write(tmp_path / "b" / "SST2" / f"sentiment-{part}", b"f\xfcr\t1\n")
    with pytest.raises(InputError, match=r"sentiment-train:1: text is UTF-8"):
        senteval_files.read_sets(tmp_path / "b")


def test_only_line_feeds_end_a_line(tmp_path):
    _write_mpqa(tmp_path, _repeat("a\u2028b\x0bc\x85d\n"), _repeat("n\n"))
    examples = senteval_files.read_sets(tmp_path)["MPQA"]["test"]
    assert len(examples.texts) == 24
    # All three are white space to str.split, as in SentEval.
    assert examples.texts[-1] == ("a b c d",)


def _write_trec(folder, train, test="HUM:ind Who is it ?\n"):
    _write(folder / "TREC" / "train_5500.label", train)
    _write(folder / "TREC" / "TREC_10.label", test)


_TREC = "".join(
    _repeat(f"{kind}:x Who {kind} : that ?\n")
    for kind in ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
)


def test_trec(tmp_path):
    _write_trec(tmp_path, _TREC)
    parts = senteval_files.read_sets(tmp_path)["TREC"]
    assert parts["test"].texts == [("Who is it ?",)]
    assert parts["test"].labels.tolist() == [3]
    assert parts["train"].texts[0] == ("Who ABBR : that ?",)
    assert parts["train"].labels.tolist() == sorted([*range(6)] * 12)


@pytest.mark.parametrize(
    "line", ["WHO:x Is it ?", "HUM who ?", "HUM:ind", "HUM:ind  ", ""]
)
def test_trec_lines_that_break_the_rule(tmp_path, line):
    _write_trec(tmp_path, f"HUM:ind Who ?\n{line}\n")
    with pytest.raises(
        InputError, match=r'label:2: .*"LABEL:kind question".*ABBR, DESC'
    ):
        senteval_files.read_sets(tmp_path)


def _write_sst2(folder, train, dev="d\t1\n", test="t\t0\n"):
    for part, text in {"train": train, "dev": dev, "test": test}.items():
        _write(folder / f"sentiment-{part}", text)


@pytest.mark.parametrize("folder", ["SST2", "SST/binary"])
def test_sst2(tmp_path, folder):
    _write_sst2(
        tmp_path / folder, _repeat("good \t1\n") + _repeat("not  good \t0\r\n")
    )
    parts = senteval_files.read_sets(tmp_path)["SST2"]
    assert parts["train"].texts[11:13] == [("good",), ("not good",)]
    assert parts["train"].labels.tolist() == [1] * 12 + [0] * 12
    assert parts["dev"].texts == [("d",)]
    assert parts["test"].labels.tolist() == [0]


@pytest.mark.parametrize("line", ["good", "good\t2", "good\t", "\t1", ""])
def test_sst2_lines_that_break_the_rule(tmp_path, line):
    _write_sst2(tmp_path / "SST2", f"good\t1\n{line}\n")
    with pytest.raises(InputError, match=r'train:2: .*"sentence TAB la'):
        senteval_files.read_sets(tmp_path)


def test_mrpc(tmp_path):
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    same = '1\t70\t71\tHe said "go ."\tGo , he said .\r\n'
    other = "0\t70\t71\tHe went .\tHe stayed .\r\n"
    for part in ("train", "test"):
        _write(
            tmp_path / "MRPC" / f"msr_paraphrase_{part}.txt",
            header + _repeat(same) + _repeat(other),
        )
    examples = senteval_files.read_sets(tmp_path)["MRPC"]["test"]
    assert len(examples.texts) == 24  # The header is none.
    assert examples.texts[0] == ("He went .", "He stayed .")
    assert examples.texts[-1] == ('He said "go ."', "Go , he said .")
    assert examples.labels.tolist() == [0] * 12 + [1] * 12
    _write(
        tmp_path / "MRPC" / "msr_paraphrase_test.txt",
        header + same + "1\t2\t3\tonly one\n",
    )
    with pytest.raises(InputError, match="test.txt:3: .*TAB sentence"):
        senteval_files.read_sets(tmp_path)


def test_no_items(tmp_path):
    _write_mpqa(tmp_path, "", _repeat("n\n"))
    with pytest.raises(InputError, match=r"mpqa\.pos is empty"):
        senteval_files.read_sets(tmp_path)
    _write(tmp_path / "h" / "MRPC" / "msr_paraphrase_train.txt", "Quality\n")
    with pytest.raises(InputError, match=r"train\.txt is empty"):
        senteval_files.read_sets(tmp_path / "h")


def test_too_few_of_a_class(tmp_path):
    _write_mpqa(tmp_path, _repeat("p\n", 11), _repeat("n\n", 12))
    with pytest.raises(
        InputError, match="at least 12 sentences.*negative 12, positive 11"
    ):
        senteval_files.read_sets(tmp_path)
    _write_trec(tmp_path / "t", _repeat("HUM:x Who ?\n"))
    with pytest.raises(InputError, match="ABBR 0, DESC 0, ENTY 0, HUM 12"):
        senteval_files.read_sets(tmp_path / "t")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="MR, CR, SUBJ.*a folder without one"):
        senteval_files.read_sets(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        senteval_files.read_sets(tmp_path / "elsewhere")
    _write_mpqa(tmp_path, _repeat("p\n"), _repeat("n\n"))
    (tmp_path / "MPQA" / "mpqa.neg").unlink()
    with pytest.raises(
        InputError,
        match=r"mpqa\.neg is missing.*Remove the folder .*MPQA to leave",
    ):
        senteval_files.read_sets(tmp_path)


def test_the_real_sets(data_set):
    sets = senteval_files.read_sets(data_set("senteval"))
    # SentEval's own numbers of items.
    sizes = {
        **{"MR": [10662], "CR": [3775], "SUBJ": [10000], "MPQA": [10606]},
        **{"TREC": [5452, 500], "SST2": [67349, 872, 1821]},
        "MRPC": [4076, 1725],
    }
    assert set(sets) >= {"MR", "CR", "SUBJ", "MPQA", "SST2"}
    for name, parts in sets.items():
        assert [len(part.texts) for part in parts.values()] == sizes[name]
    assert sets["MR"]["test"].labels.sum() == 5331
    assert sets["CR"]["test"].texts[:4] == [(".",)] * 4
