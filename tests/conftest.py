"""What holds in every run of the tests.

One thread for BLAS: the tests run in parallel, and threads of several would only contend. Read
when NumPy is loaded, so it is set before anything is imported.

Property tests draw the same examples in every run, so that a run says the same about the same
code and needs nothing that an earlier one left behind; `--hypothesis-profile=explore` draws others.

Native code is kept on disk for this run alone, and shared by its processes.

Temporary files, such as the repros of passes that tests break, go where pytest tidies up.
"""

import os
import tempfile

import pytest
from hypothesis import settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("same", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory):
    """Python's folder for temporary files, for this run alone."""
    before = tempfile.tempdir
    tempfile.tempdir = str(tmp_path_factory.mktemp("temporary"))
    yield
    tempfile.tempdir = before


@pytest.fixture(scope="session", autouse=True)
def kept_objects(tmp_path_factory):
    """A directory for native code; that of all processes if several share the tests."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ["GRAPHWRIGHT_CACHE"] = str(shared / "objects")
    yield
    del os.environ["GRAPHWRIGHT_CACHE"]
