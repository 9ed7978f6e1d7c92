"""One thread for BLAS: the tests run in parallel, and threads of several would only contend.

Read when NumPy is loaded, so it is set before anything is imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
