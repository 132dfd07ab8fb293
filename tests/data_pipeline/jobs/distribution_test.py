"""What setup.py ships runs elsewhere: a pipeline with two workers."""

import os
import pathlib
import subprocess
import sys
import sysconfig

import pytest

pytest.importorskip("apache_beam")
pytest.importorskip("build")

ROOT = pathlib.Path(__file__).parents[3]
HERE = pathlib.Path(__file__).parent


def run(*command, **options):
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_source_distribution_runs_a_pipeline(tmp_path):
    run(
        *(sys.executable, "-m", "build", "--sdist", "--no-isolation"),
        *("--outdir", tmp_path, ROOT),
    )
    (archive,) = tmp_path.glob("labse-*.tar.gz")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    here = run(
        python, "-c", "import sysconfig as s; print(s.get_path('purelib'))"
    )
    packages = pathlib.Path(here.strip())
    # Its dependencies are those of this environment, the package is not.
    run(
        *(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"),
        *("--no-build-isolation", "--target", packages, archive),
    )
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    environment = {
        key: value for key, value in os.environ.items() if key != "PYTHONPATH"
    }
    environment["PYTHONPATH"] = str(HERE)  # Of the test's own units.
    where = run(
        *(python, "-c", "import data_pipeline; print(data_pipeline.__file__)"),
        cwd=tmp_path,
        env=environment,
    )
    assert where.startswith(str(packages))
    run(
        *(python, HERE / "small_job.py", tmp_path / "work", "2"),
        cwd=tmp_path,
        env=environment,
    )
    log = (tmp_path / "work" / "log").read_text().splitlines()
    assert len(log) == 6 and len({line.split()[1] for line in log}) == 2
