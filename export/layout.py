"""Where things stand in an export folder.

    DIR/text/        strings -> unit vectors
    DIR/preprocess/  strings -> model inputs
    DIR/encode/      model inputs -> unit vectors and all states
    DIR/README.md    model card
    DIR/export.json  which run it came from, the configuration, and of every
                     file and variable the SHA-256
    DIR/golden.json  sentences and their ids
    DIR/golden.npz   the vectors the run itself gives them
    DIR/ops.json     operations a server must have

This module imports nothing, so that a process that verifies an export sees
no code of the model.
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

# google/LaBSE/2 calls its asset so.
VOCABULARY_NAME = "cased_vocab.txt"
VOCABULARY_ASSET = f"assets/{VOCABULARY_NAME}"
WARMUP = "assets.extra/tf_serving_warmup_requests"
VARIABLES = "variables/variables"
