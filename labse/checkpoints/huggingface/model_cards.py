"""The model cards of the folders that `folder_writer` writes."""

from labse.checkpoints.stored_model import StoredModel


def model_card(model: StoredModel) -> str:
    """The README.md of a sentence encoder, or of a pre-trainer."""
    if model.is_pretrainer:
        return _pretrainer_card(model)
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- sentence-similarity
- labse
---

# Sentence encoder

Sentences to unit vectors of {model.config.encoder.hidden_size} numbers. \
{_network(model)}

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
vectors = model.encode(["hello", "bonjour"])
```

Written by `labse convert`.
"""


def _pretrainer_card(model: StoredModel) -> str:
    return f"""---
library_name: transformers
pipeline_tag: fill-mask
tags:
- bert
- labse
---

# Masked language model

{_network(model)}

```python
from transformers import AutoModelForMaskedLM, AutoTokenizer

model = AutoModelForMaskedLM.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
```

Written by `labse convert`.
"""


def _network(model: StoredModel) -> str:
    encoder, tokenizer = model.config.encoder, model.config.tokenizer
    last = "masked-LM head tied to the table of word embeddings"
    if not model.is_pretrainer:
        last = f"pooling {encoder.pooling}"
    kind = "uncased" if tokenizer.lower_case else "cased"
    pieces = f"{kind} WordPiece of {encoder.vocab_size:,} pieces"
    if encoder.num_layers:
        return (
            f"BERT with {encoder.num_layers} blocks, {encoder.num_heads} heads "
            f"and {pieces}; {last}; at most {tokenizer.max_length} tokens."
        )
    return (
        "A deep averaging network: the mean of the embeddings of a sentence's "
        f"pieces, without attention; {pieces}; at most {tokenizer.max_length} "
        "tokens, with [CLS] and [SEP], which the tokenizer's normalizer writes "
        "before a sentence. An empty one is a vector of zeros."
    )
