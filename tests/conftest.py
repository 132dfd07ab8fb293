"""Fixtures of all tests."""

import gc
import json
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest
import tensorflow as tf

# Four logical devices stand for the cores of an accelerator. It has to be
# said before TensorFlow starts.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration() for _ in range(4)],
)

# Letters of many scripts and some whole words; every word can be written.
_SCRIPTS = (
    "abcdefghijklmnopqrstuvwxyzABCäöüßéñçığşłžđøåþ"
    "абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґАБВ"
    "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώς"
    "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةأإآپچگک"
    "אבגדהוזחטיכלמנסעפצקרשתםןץףך"
    "अआइईउएकखगघचजझटठडढणतथदधनपफबभमयरलवशषसहािीुूेैोौ्ंः"
    "কখগঘচছজঝটঠডঢণতথদধনপফবভমযরলশষসহািীুূেৈোৌ্"
    "กขคงจฉชซญดตถทธนบปผฝพฟภมยรลวศษสหอฮะาิีึืุูเแโใไ็่้"
    "你好世界我们的语言文字人大中国日本こんにちはのをがでカタナ안녕하세요한국어"
    "ქართულიენაճհայերենլզուአማርኛቋንቋமிழ்மொழிతెలుగుಕನ್ನಡമലയാളംසිංහලခမန်မာ"
    "0123456789.,!?'-"
)


def pytest_make_parametrize_id(val, argname):
    """Bytes are named by their parameter.

    `gzip.compress` writes the time into them, and pytest-xdist refuses tests
    whose names differ from process to process.
    """
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="module", autouse=True)
def _frozen_heap():
    """Keeps imported modules out of garbage collections.

    There are a million objects of them, and each run collects its models.
    """
    gc.collect()
    gc.freeze()


class Process:
    """As `subprocess.Popen` with pipes, for a process of `start_python`."""

    def __init__(self, address: str, outputs: pathlib.Path, request: dict):
        self.returncode = None
        self._outputs = [outputs / name for name in ("stdout", "stderr")]
        request |= {path.name: str(path) for path in self._outputs}
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(address)
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        self.pid = self._receive()

    def _receive(self) -> int:
        return struct.unpack("i", self._connection.recv(4))[0]

    def poll(self, timeout=0):
        if (
            self.returncode is None
            and (select.select([self._connection], [], [], timeout)[0])
        ):
            self.returncode = self._receive()
            self._connection.close()
        return self.returncode

    def wait(self, timeout=None) -> int:
        if self.poll(timeout) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return self.returncode

    def communicate(self, timeout=None) -> list[str]:
        self.wait(timeout)
        return [path.read_text("utf-8") for path in self._outputs]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@pytest.fixture(scope="session")
def process_server(tmp_path_factory):
    """The address of a server of processes that have imported TensorFlow."""
    address = str(tmp_path_factory.mktemp("process_server") / "socket")
    script = pathlib.Path(__file__).with_name("process_server.py")
    command = [sys.executable, str(script), address]
    # Its input ends with this process, and it with its input.
    with subprocess.Popen(command, stdin=subprocess.PIPE) as server:
        while not os.path.exists(address):
            assert server.poll() is None
            time.sleep(0.05)
        yield address


@pytest.fixture(scope="session")
def start_python(process_server, tmp_path_factory):
    """Starts Python with its arguments; seconds faster than by `subprocess`.

    Only for code that does not ask whether TensorFlow was imported, and when.
    """

    def start(*arguments, cwd=None, env=None) -> Process:
        request = {
            "arguments": [str(argument) for argument in arguments],
            "folder": str(cwd or os.getcwd()),
            "environment": dict(env or os.environ),
        }
        outputs = tmp_path_factory.mktemp("outputs")
        return Process(process_server, outputs, request)

    return start


@pytest.fixture(scope="session")
def run_python(start_python):
    """As `subprocess.run`, of what `start_python` starts."""

    def run(*arguments, timeout=300, **options):
        process = start_python(*arguments, **options)
        outputs = process.communicate(timeout)
        return subprocess.CompletedProcess(
            arguments, process.returncode, *outputs
        )

    return run


@pytest.fixture(scope="session")
def data_dir() -> pathlib.Path:
    """The folder of real data; tests that ask for it are skipped without."""
    if not os.environ.get("LABSE_DATA_DIR"):
        pytest.skip("LABSE_DATA_DIR is not set: it names the real data")
    return pathlib.Path(os.environ["LABSE_DATA_DIR"])


@pytest.fixture(scope="session")
def data_set(data_dir):
    """From the name of a set to its folder; without it, tests are skipped."""

    def folder(name: str) -> pathlib.Path:
        if not (data_dir / name).is_dir():
            pytest.skip(f"{data_dir} (LABSE_DATA_DIR) has no set {name}")
        return data_dir / name

    return folder


@pytest.fixture(scope="session")
def torch():
    """PyTorch, the peer of parity tests; they are skipped without it."""
    return pytest.importorskip(
        "torch",
        reason="torch is not installed: pip install 'labse[parity]'",
    )


@pytest.fixture(scope="session")
def small_pieces() -> list[str]:
    """A vocabulary that can write every letter of `_SCRIPTS`."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted(set(_SCRIPTS))
    words = ["hello", "world", "the", "##ing", "##en"]
    return [
        *special,
        *letters,
        *(f"##{letter}" for letter in letters),
        *words,
    ]


@pytest.fixture(scope="session")
def small_run(tmp_path_factory, small_pieces) -> pathlib.Path:
    """A run folder: two blocks of 32, random weights, at most 64 tokens."""
    from labse.checkpoints import run_folder
    from labse.configs.schema import (
        EncoderConfig,
        ExperimentConfig,
        TokenizerConfig,
    )
    from labse.modeling.sentence_encoder import SentenceEncoder

    folder = tmp_path_factory.mktemp("small")
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_text("".join(f"{p}\n" for p in small_pieces), "utf-8")
    config = ExperimentConfig(
        encoder=EncoderConfig(
            vocab_size=len(small_pieces),
            num_layers=2,
            num_heads=4,
            hidden_size=32,
            intermediate_size=64,
            max_positions=64,
            # Larger than BERT's, so that attention is far from even.
            initializer_range=0.3,
        ),
        tokenizer=TokenizerConfig(max_length=64),
    )
    run = run_folder.create(str(folder / "run"), config, str(vocabulary))
    tf.random.set_seed(0)
    encoder = SentenceEncoder(config.encoder)
    encoder.build()
    checkpoint = tf.train.Checkpoint(encoder=encoder)
    tf.train.CheckpointManager(
        checkpoint, str(run / run_folder.LAST), max_to_keep=1
    ).save(0)
    return run


@pytest.fixture(scope="session")
def remote_run(small_run):
    """The same run folder on a file system of TensorFlow's, in memory."""
    from labse.files.remote_path import as_path

    remote = as_path("ram://bucket/runs/small")
    for path in small_run.rglob("*"):
        if path.is_file():
            copy = remote / path.relative_to(small_run)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with copy.open("wb") as file:
                file.write(path.read_bytes())
    (remote / "logs").mkdir()
    return remote
