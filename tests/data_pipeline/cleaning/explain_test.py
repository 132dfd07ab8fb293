from data_pipeline.cleaning.explain import explain
from data_pipeline.cleaning.settings import STEPS, CleaningSettings


def rows(line, **values):
    skip = {"document_language", "sentence_language", *values.pop("skip", ())}
    given = CleaningSettings(skip=frozenset(skip), **values)
    lines = explain(line, given, "en").split("\n")[1:]
    found = {line.split()[0]: line.split(None, 1)[1] for line in lines}
    assert list(found) == list(STEPS)
    return found


def test_every_step_decides_although_one_drops_the_line():
    found = rows("Use JavaScript { and see[1] more")
    assert found["length"] == "keeps"
    assert found["citation_marks"].startswith("changes")
    assert found["citation_marks"].endswith("Use JavaScript { and see more")
    assert found["javascript"].split(None, 1) == ["drops", "has javascript"]
    assert found["terminal_punctuation"].startswith("drops")
    assert found["curly_brackets"].startswith("drops")
    assert found["sentences"] == "keeps"  # one line says nothing about a page


def test_sentences_are_shown():
    found = rows("It is one. It is two, and longer. No.", skip=["words"])
    assert found["split"].endswith("It is one. | It is two, and longer. | No.")
    assert found["sentence_length"].startswith("drops 1 of 3")
    assert found["words"].split(None, 1) == ["-", "skipped"]
    assert "list of words" in found["bad_words"]
    assert "came before" in found["spans"]
