"""Settings of all tests of the Python package."""

import os

# Before PyTorch is loaded. Tests run side by side, and networks are small: threads that wait for
# each other take longer than the work (test_report.py 33 s instead of 177 on a busy machine).
os.environ.setdefault("OMP_NUM_THREADS", "1")
