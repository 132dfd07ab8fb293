"""The files of an export folder.

    DIR/text/        strings -> unit vectors
    DIR/preprocess/  strings -> model inputs
    DIR/encode/      model inputs -> unit vectors and all states
    DIR/README.md    model card
    DIR/export.json  the run it came from, the configuration, and the SHA-256
                     of every file and variable
    DIR/golden.json  sentences and their ids
    DIR/golden.npz   the vectors that the run itself gives them
    DIR/ops.json     operations that a server must have

This module imports nothing, so that verifying an export imports none of the
model's code.
"""

TEXT = "text"
PREPROCESS = "preprocess"
ENCODE = "encode"
MODELS = (TEXT, PREPROCESS, ENCODE)

README = "README.md"
RECORD = "export.json"
GOLDEN_SENTENCES = "golden.json"
GOLDEN_VECTORS = "golden.npz"
OPERATIONS = "ops.json"

# The name of google/LaBSE/2's asset.
VOCABULARY_NAME = "cased_vocab.txt"
VOCABULARY_ASSET = f"assets/{VOCABULARY_NAME}"
WARMUP = "assets.extra/tf_serving_warmup_requests"
VARIABLES = "variables/variables"
