"""The training step on a GPU, compiled by XLA and run through JAX.

    python -m benchmarks.gpu_step.lower --out=runs/gpu_step
    python -m benchmarks.gpu_step.run runs/gpu_step         (where the GPU is)

TensorFlow's own GPU build needs CUDA 12 and several GB of libraries. JAX is
often installed where TensorFlow is not, and runs the same XLA program. So the
step is lowered to HLO here (`lower`, with `tpu_compile`'s replay of the traced
graph) and run there (`run`): one small configuration whose results are compared
with those of TensorFlow on the CPU, and larger ones for time and memory, with
PyTorch's step of the same shape beside them (`peer`).

Not covered: TensorFlow's own runtime on the GPU, `fit`, the input pipeline.
"""
