"""The names of features and columns, declared once.

Model inputs are int32 [batch, length]; the names are TF Hub's (transformer
encoder API), not ours.
"""

MODEL_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")

# A training example. `hard_negatives` is optional.
SOURCE = "source"
TARGET = "target"
HARD_NEGATIVES = "hard_negatives"
TRUNCATED = "truncated"  # int32 [batch]; 1 if a side was truncated; optional

# A batch of pre-training: `MODEL_INPUTS`, and these. The names of the masked
# tokens are Model Garden's.
MASKED_POSITIONS = "masked_lm_positions"  # int32 [batch, most masked]
MASKED_IDS = "masked_lm_ids"  # int32 [batch, most masked], to be predicted
MASKED_WEIGHTS = "masked_lm_weights"  # float32 [batch, most masked]; 0: padding
BILINGUAL = "bilingual"  # int32 [batch], 1: a translation pair (TLM), 0: MLM
# Only of packed sequences, int32 [batch, length]: the number of the sentence,
# or pair, that a token belongs to, from 1 in each sequence, 0 for padding; and
# the position of the token in it.
SENTENCE_NUMBERS = "sentence_numbers"
INPUT_POSITIONS = "input_positions"

# Records on disk: columns of a TSV with a header, features of a TFRecord.
SOURCE_LANGUAGE = "source_language"
TARGET_LANGUAGE = "target_language"
PAIR_COLUMNS = (SOURCE, TARGET, SOURCE_LANGUAGE, TARGET_LANGUAGE)
# The name of the corpus that a pair comes from; optional.
CORPUS = "corpus"
TEXT = "text"
LANGUAGE = "language"
# The index of a record's group in the manifest of its folder.
GROUP = "group"
# Pre-tokenized records hold ids in place of texts, without [CLS] and [SEP];
# those of all hard negatives in a row, and the number of each.
SOURCE_IDS = "source_ids"
TARGET_IDS = "target_ids"
TEXT_IDS = "text_ids"
HARD_NEGATIVES_IDS = "hard_negatives_ids"
HARD_NEGATIVES_LENGTHS = "hard_negatives_lengths"
