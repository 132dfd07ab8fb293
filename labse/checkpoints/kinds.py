"""The kinds of models that can be opened, for messages and help texts."""

KINDS = (
    "a run folder (config.yaml inside), a sentence-transformers folder "
    "(modules.json), a Hugging Face BERT folder (config.json): either a clone "
    "with its Git LFS files or snapshots/HASH of Hugging Face's cache, an "
    "export folder (export.json), a SavedModel (saved_model.pb) of an encoder "
    "such as google/LaBSE/2, a BERT checkpoint of TensorFlow 1 or Model Garden "
    "(its prefix, or the folder with bert_model.ckpt.index), or a TF Hub "
    "handle (URL)"
)
