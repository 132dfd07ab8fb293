r"""Moves a model from one format to another, exactly.

    git lfs install && git clone \
        https://huggingface.co/sentence-transformers/LaBSE
    labse convert --input=./LaBSE --out=runs/labse
    labse convert --input=runs/mine --out=my-model --to=huggingface

The format of --input is recognised by its files; only a TF Hub handle is
downloaded. No code of the model's author runs. Every weight must be found, in
the right shape, and none may be left over except those of pre-training heads.
Names of weights may have the prefixes of wrappers (module., _orig_mod.,
0.auto_model.).

--to=labse writes a run folder: encode with it, export it, or train it further
with `labse train --init`. --to=huggingface writes a sentence-transformers
folder: SentenceTransformer(path) gives the same vectors. An averaging network
(encoder.num_layers 0, pooling mean) becomes its StaticEmbedding.

Pre-trainers, such as a run of `labse pretrain` or a BertForMaskedLM, do not
record how they pool. Without --pooling one stays a pre-trainer, with its
masked-LM head: --to=labse writes a run of pre-training, for the --init of
`labse pretrain` or `labse train`, and --to=huggingface a BertForMaskedLM. With
--pooling it becomes a sentence encoder, and the head is left out.

    labse convert --input=./bert-base-multilingual-cased --out=runs/mbert
    labse convert --input=runs/pretrained --out=mlm --to=huggingface
    labse convert --input=runs/pretrained --out=runs/encoder --pooling=cls
"""

import sys
import time

from labse.bin.flags import program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import MODEL_HELP

FORMATS = ("labse", "huggingface")


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of `labse convert`."""
    flags.string("input", None, MODEL_HELP, required=True)
    flags.string("out", None, "The new folder.", required=True)
    flags.choice("to", "labse", FORMATS, "What to write.")
    define_model_options(flags)


def define_model_options(flags: FlagSet) -> None:
    """Defines the flags of `ModelOptions`."""
    flags.string("vocabulary", None, "vocab.txt, if the model has none.")
    flags.choice(
        "pooling",
        None,
        ("cls", "cls_tanh", "mean", "mean_tanh"),
        "How pieces become a sentence, if the model does not record it or "
        "should pool differently.",
    )
    flags.choice(
        "activation",
        None,
        ("gelu", "gelu_tanh"),
        "Exact gelu (Hugging Face) or its approximation (Google), if the "
        "model does not record it.",
    )
    flags.integer(
        "max_length",
        None,
        "Maximum tokens of a sentence, if not the recorded number.",
        lower_bound=3,
    )
    flags.boolean(
        "lower_case",
        None,
        "Whether the vocabulary is uncased, if the model does not record it.",
    )
    flags.choice(
        "ids",
        None,
        ("hugging_face", "tensorflow_hub"),
        "Whose tokenizer's ids. A model from TF Hub gets Hugging Face's by "
        "default: with TF Hub's, long words of Thai, Lao or Khmer are lost.",
    )


def model_options(flags: FlagSet):
    """The `ModelOptions` that the flags set."""
    from labse.checkpoints.stored_model import ModelOptions

    names = set(ModelOptions.__annotations__) - {"fallback"}
    return ModelOptions(**{name: flags[name].value for name in names})


def open_model(flags: FlagSet, path: str):
    """The `StoredModel` of a path, described on stderr; checks --out first."""
    from labse.checkpoints import recognition
    from labse.files.atomic_write import check_new_folder

    check_new_folder(flags.out, "--out")
    model = recognition.open_model(path, model_options(flags))
    _log(f"{path}: {model.kind}; {_described(model.config)}")
    for note in model.notes:
        _log(f"note: {note}")
    return model


def main(flags: FlagSet) -> None:
    """Opens, checks and writes a model, and reports what was done."""
    from labse.checkpoints import converted_run

    start = time.monotonic()
    model = open_model(flags, flags.input)
    if flags.to == "labse":
        converted_run.write_run(
            flags.out,
            model.config,
            model.vocabulary,
            model.all_weights,
            converted_run.source_record(model),
        )
    else:
        from labse.checkpoints.huggingface import folder_writer

        folder_writer.write_folder(model, flags.out)
    seconds = time.monotonic() - start
    _log(f"wrote {flags.out} in {seconds:.1f} s")


def _described(config) -> str:
    from labse.configs.pretraining import PretrainingConfig

    encoder = config.encoder
    pieces = f"{encoder.vocab_size:,} pieces"
    if not encoder.num_layers:
        return (
            f"an averaging network of {encoder.hidden_size}, {pieces}, at most "
            f"{config.tokenizer.max_length} tokens, pooling {encoder.pooling}"
        )
    last = f"pooling {encoder.pooling}"
    if isinstance(config, PretrainingConfig):
        last = "masked-LM head"
    return (
        f"{encoder.num_layers} blocks of {encoder.hidden_size}, "
        f"{encoder.num_heads} heads, {pieces}, {encoder.max_positions} "
        f"positions, {encoder.activation}, {last}"
    )


def _log(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    program.main(__name__)
