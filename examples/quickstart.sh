#!/usr/bin/env bash
# A model from start to finish: translations -> pairs -> vocabulary -> training
# -> evaluation on held-out strings -> SavedModels -> verification.
# usage: examples/quickstart.sh [FOLDER]
set -euo pipefail
run=${1:-runs/quickstart}
run=${run%/}
data=$run-data
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$data"

step() { printf '\n== %s\n' "$*" >&2; "$@"; }

if [[ ! -f $data/heldout.tsv ]]; then
  step labse extract-gettext --input=package:django --out="$data/pairs.tsv"
  step labse split-pairs --input="$data/pairs.tsv" --share=0.2 \
    --train_out="$data/train.tsv" --heldout_out="$data/heldout.tsv"
fi
[[ -f $data/vocab.txt ]] ||
  step labse build-vocab --input="$data/train.tsv" --vocab_size=30000 --out="$data/vocab.txt"
step labse train --config=labse_tiny --train="$data/train.tsv" \
  --vocab="$data/vocab.txt" --out="$run"
step labse evaluate --model="$run" --task=pairs --data="$data/heldout.tsv" --out="$run"
if [[ ! -d $run/export ]]; then
  step labse export --run="$run" --out="$run/export"
fi
step labse verify "$run/export"
step python "$here/nearest_translations.py" "$run" "$data/heldout.tsv"
printf '\nReport: %s/report.html. SavedModels: %s/export.\n' "$run" "$run"
