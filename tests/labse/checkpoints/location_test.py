"""Where models lie: paths, URLs, caches of hubs."""

import shutil

import pytest
import tensorflow_hub as hub

import labse
from labse.checkpoints import location, recognition, run_folder
from labse.errors import InputError


def refusal(function, *arguments):
    with pytest.raises(InputError) as error:
        function(*arguments)
    return str(error.value)


@pytest.fixture
def run(small_run, tmp_path):
    folder = tmp_path / "a run"
    shutil.copytree(small_run, folder)
    return folder


def test_file_urls_and_the_home(run, monkeypatch):
    monkeypatch.setenv("HOME", str(run.parent))
    for path in (run.as_uri(), f"file://localhost{run}".replace(" ", "%20")):
        assert recognition.open_model(path).path == str(run)
    assert recognition.open_model("~/a run").path == str(run)
    assert run_folder.open_run(run.as_uri()).path == str(run)
    vectors = labse.load(run.as_uri()).encode(["hello"])
    assert vectors.shape == (1, 32)


def test_file_urls_of_other_machines():
    for url in ("file://runs/mine", "file:runs/mine"):
        assert f"Received: {url}." in refusal(location.local_folder, url)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "sentence-transformers/LaBSE",
            "hf download sentence-transformers/LaBSE --local-dir=LaBSE (or git "
            "lfs install && git clone "
            "https://huggingface.co/sentence-transformers/LaBSE)",
        ),
        ("bert-base-cased", "hf download bert-base-cased "),
        ("google/LaBSE/2", "https://tfhub.dev/google/LaBSE/2"),
        ("/nowhere/at/all", "'/nowhere/at/all' does not exist. A model is a"),
        ("hf://org/name", "hf download org/name "),
        ("https://huggingface.co/org/name/tree/main", "hf download org/name "),
        ("ram://bucket/model", "Of remote folders, only runs can be opened."),
        ("s3://bucket/model", "must be a path of a file system that Tensor"),
        ("", "Received an empty path."),
        ("a\0b", "is not a path. A model is"),
        ("a" * 300, "cannot be read: File name too long. A model is"),
    ],
)
def test_names_of_nothing(path, expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert expected in refusal(recognition.open_model, path)


def hugging_face_cache(run, *snapshots):
    """A model's folder as huggingface_hub keeps it."""
    folder = run.parent / "hub" / "models--org--name"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(snapshots[-1])
    for snapshot in snapshots:
        shutil.copytree(run, folder / "snapshots" / snapshot)
    return folder


def test_a_folder_of_hugging_faces_cache(run):
    folder = hugging_face_cache(run, "abc")
    found = recognition.open_model(str(folder))
    assert found.path == str(folder / "snapshots" / "abc")
    message = refusal(recognition.open_model, str(folder.parent))
    assert "It is Hugging Face's cache: give one of its models." in message
    message = refusal(recognition.open_model, str(folder / "snapshots"))
    assert (
        f"Models in it: {folder / 'snapshots' / 'abc'}. Give one of them."
        in message
    )


def test_several_snapshots(run):
    folder = hugging_face_cache(run, "abc", "def")
    message = refusal(recognition.open_model, str(folder))
    assert f"refs/main is {folder / 'snapshots' / 'def'}." in message


def test_a_link_of_hugging_faces_cache_to_nothing(run):
    folder = hugging_face_cache(run, "abc")
    vocabulary = folder / "snapshots" / "abc" / "vocab.txt"
    vocabulary.unlink()
    vocabulary.symlink_to("../../blobs/123")
    message = refusal(recognition.open_model, str(folder))
    assert f"{vocabulary} is a link to ../../blobs/123, which is missing" in (
        message
    )
    assert (
        f"delete the folder {folder}, and download the model again" in message
    )


@pytest.mark.parametrize("damage", ["emptied", "removed", "cleaned"])
def test_a_damaged_cache_of_tf_hub(run, monkeypatch, damage):
    """The handle and the folder to delete, as its file of the handle says."""
    handle = "https://tfhub.dev/org/name/1"
    cached = run.with_name("0123abcd")
    run.rename(cached)
    note = cached.with_name("0123abcd.descriptor.txt")
    note.write_text(f"Module: {handle}\nDownload Time: now\n")
    monkeypatch.setattr(hub, "resolve", lambda _: str(cached))
    data = next(cached.rglob("*.data*"))
    if damage == "emptied":
        data.write_bytes(b"")
    elif damage == "removed":
        data.unlink()
    else:  # As a system cleans /tmp: the folders stay.
        for path in cached.rglob("*"):
            if path.is_file():
                path.unlink()
    message = refusal(recognition.open_model, handle)
    assert (
        f"It belongs to {handle} in TF Hub's cache: delete the folder {cached}"
        in (message)
    )


def test_files_are_no_models(run):
    index = next(run.rglob("*.index"))
    prefix = str(index).removesuffix(".index")
    message = refusal(recognition.open_model, str(index))
    assert f"A checkpoint is named by its prefix: {prefix}." in message
    message = refusal(recognition.open_model, str(run / "config.yaml"))
    assert f"Give its folder, {run}." in message


def test_a_run_without_its_list_of_checkpoints(run):
    """No other checkpoint is taken in silence."""
    note = run / "checkpoints" / "last" / "checkpoint"
    prefix = note.with_name("ckpt-0")
    shutil.copytree(note.parent, run / "checkpoints" / "best")
    best = run / "checkpoints" / "best" / "checkpoint"
    best.unlink()
    message = refusal(recognition.open_model, str(run))
    assert f"There is no file {best}." in message
    named = run / "checkpoints" / "best" / prefix.name
    assert f"A checkpoint can also be given instead of the run: {named}" in (
        message
    )
    assert recognition.open_model(str(named)).kind == "run folder"
