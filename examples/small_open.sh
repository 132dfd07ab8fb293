#!/usr/bin/env bash
# A small real model from open translations, and its reports.
# usage: examples/small_open.sh DATA RUN
# DATA holds the training data tatoeba_challenge_train, bible_nt and
# wikimedia_ui (see open_pairs.py), and the evaluation data tatoeba_v1,
# un_v1_devset, bucc_made, stsbenchmark and senteval.
set -euo pipefail
data=$1
run=${2%/}
files=$run-data
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$files"

step() { printf '\n== %s\n' "$*" >&2; "$@"; }

if [[ ! -f $files/validation.tsv ]]; then
  step python "$here/open_pairs.py" "$data" "$files/pairs.tsv"
  step labse split-pairs --input="$files/pairs.tsv" --share=0.005 \
    --train_out="$files/train.tsv" --heldout_out="$files/validation.tsv"
fi
[[ -f $files/vocab.txt ]] ||
  step labse build-vocab --input="$files/train.tsv" --vocab_size=240000 --out="$files/vocab.txt"
# Half of the languages have interface messages only, which are of one kind and
# not what the model is for: they count less.
step labse train --config=labse_small_open --train="$files/train.tsv" \
  --override='data.corpus_weights={wikimedia_ui: 0.25}' \
  --validation="$files/validation.tsv" --vocab="$files/vocab.txt" --out="$run"

evaluate() { # TASK DATA [FLAG]...
  step labse evaluate --model="$run" --task="$1" --data="$data/$2" \
    --out="$run/$1" --cache="$run/embeddings" "${@:3}"
}
evaluate tatoeba tatoeba_v1
evaluate n_way un_v1_devset --pivot=en
evaluate bucc bucc_made
evaluate sts stsbenchmark
evaluate senteval senteval
