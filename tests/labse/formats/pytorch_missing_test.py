"""A PyTorch file where PyTorch is not installed; and where it is not needed."""

import subprocess
import sys

import pytest

from labse.errors import InputError
from labse.formats import pytorch_file


def test_the_error_says_how_to_get_safetensors(tmp_path, monkeypatch):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(b"PK\x03\x04")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="PyTorch, which is not") as caught:
        pytorch_file.load_state_dict(path)
    for part in (
        *(str(path), "hf download", "--revision=refs/pr/N"),
        *(pytorch_file.TO_SAFETENSORS, "pip install torch"),
    ):
        assert part in str(caught.value)


def test_other_files_are_named_without_pytorch(tmp_path, monkeypatch):
    path = tmp_path / "pytorch_model.bin"
    path.write_text("<html>")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="is a web page"):
        pytorch_file.load_state_dict(path)


def test_pytorch_is_imported_for_its_files_only():
    code = (
        "import sys; import labse.checkpoints.recognition; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
