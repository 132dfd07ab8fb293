"""The training step, compiled by TPU's own compiler for TPUs that are not here.

    make tpu-compile
    python -m benchmarks.tpu_compile [--configuration=base] [--topology=v3]

Prints which configurations fit which TPU, with the memory of a core, from
compiled programs; none of them is run. Two environments, which `make` creates
and nothing else needs:

- `.venv-tpu-lower`: TensorFlow's build for TPU traces `DualEncoder.train_step`
  for one of 32 replicas and lowers it to HLO (`lower`), with the operations
  that TPUStrategy's own collectives use (`one_replica`). The compiler takes no
  variables, so the traced graph is repeated with their values as arguments and
  results (`replayed_step`).
- `.venv-tpu-compile`: libtpu compiles the HLO for a topology (`compile_step`),
  through JAX, and what it made is read from its text (`compiled_program`).

Programs and results are kept with a `fingerprint` of the code that they are of:
after a change the table begins anew, and the old results stay in the file.

Not covered: TPUStrategy's wrappers, `fit`, several steps per execution, the
input pipeline, and what the program computes on the chip.
"""
