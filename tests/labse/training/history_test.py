import json

from labse.training import history


def records(folder):
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_records_are_added_one_a_line(tmp_path):
    history.append(tmp_path, {"step": 10, "loss": 0.5})
    history.append(tmp_path, {"step": 20, "validation": {"a": 1.0}})
    assert (tmp_path / "history.jsonl").read_text() == (
        '{"step": 10, "loss": 0.5}\n{"step": 20, "validation": {"a": 1.0}}\n'
    )


def test_what_was_logged_after_the_step_is_dropped(tmp_path):
    for step in (10, 20, 20, 30, 40):
        history.append(tmp_path, {"step": step})
    history.truncate(tmp_path, 20)
    assert records(tmp_path) == [{"step": 10}, {"step": 20}, {"step": 20}]
    history.append(tmp_path, {"step": 30, "again": True})
    assert records(tmp_path)[-1] == {"step": 30, "again": True}
    history.truncate(tmp_path, 0)
    assert (tmp_path / "history.jsonl").read_bytes() == b""


def test_a_line_that_a_kill_cut_off_is_dropped(tmp_path):
    history.append(tmp_path, {"step": 10})
    with open(tmp_path / "history.jsonl", "a") as file:
        file.write('{"step": 20, "lo')
    history.truncate(tmp_path, 100)
    assert records(tmp_path) == [{"step": 10}]
    # Also where the cut-off line happens to be whole JSON but for its end.
    with open(tmp_path / "history.jsonl", "a") as file:
        file.write('{"step": 20}')
    history.truncate(tmp_path, 100)
    history.append(tmp_path, {"step": 30})
    assert records(tmp_path) == [{"step": 10}, {"step": 30}]


def test_a_text_with_a_line_separator_is_one_record(tmp_path):
    history.append(tmp_path, {"step": 10, "note": "a\u2028b\nc"})
    history.truncate(tmp_path, 10)
    (line,) = (tmp_path / "history.jsonl").read_text().splitlines()
    assert json.loads(line)["note"] == "a\u2028b\nc"


def test_no_history_is_no_mistake_and_makes_none(tmp_path):
    history.truncate(tmp_path, 5)
    assert list(tmp_path.iterdir()) == []
