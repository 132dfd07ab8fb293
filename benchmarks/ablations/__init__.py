"""The paper's claims, re-run small: which of them two cores can see.

    python -m benchmarks.ablations --data=DATA [--out=runs/ablations] \
        [--plan] [--processes=2] [--experiments margin figure_5 ...]

DATA holds the training data of `examples/small_open.sh`, tatoeba_v1, vocabs
(mBERT's) and lingua_sentences. `docs/ablations.md` says what is run, how each
figure is computed, what the paper reports and by which rule a claim "agrees".
The command writes the results between that page's markers, and its charts.

`--plan` prints the units of work with the CPU time that measured rates lead to.
Each is trained and evaluated in a process of its own, with one thread, two at
a time. A command that was killed resumes when it is run again: finished units
have a result in OUT/results, the one in progress has a run folder. Seeds are
fixed, so that a machine gives the same figures each time.

    arms.py          the models that are trained
    experiments.py   the claims about them
    settings.py      languages, sizes, configurations
    units.py         the units of work, their order and CPU time
    schedule.py      runs them
    run_unit.py      one unit, a program of its own
    prepare.py       the data, vocabularies and hard negatives
    cpu_time.py      CPU seconds of a unit that was stopped and resumed
    local_negatives.py, retrieval.py, pieces.py    training and evaluation
    verdicts.py, page.py    results to means, verdicts, tables and charts
"""
