"""`text` takes strings, which XLA has not; that must not end the process."""

import pytest

PROGRAM = """
import sys
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text

model = hub.load(sys.argv[1])
compiled = tf.function(lambda texts: model(texts), jit_compile=True)
for texts in (["the bus", "was"], ["the bus"]):
    try:
        compiled(tf.constant(texts))
    except tf.errors.InvalidArgumentError as error:
        assert "unsupported operations" in str(error), error
        assert "DT_STRING" in str(error), error
        print("refused")
model(tf.constant(["the bus"]))
print("still there")
"""


@pytest.mark.parametrize("name", ["text", "preprocess"])
def test_strings_are_refused(exported, run_python, name):
    # In a process of its own: what is tested is that it does not die.
    done = run_python("-c", PROGRAM, exported / name)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[:3] == ["refused", "refused", "still there"]
