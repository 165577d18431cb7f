"""Tests, by the question they ask; each folder is one question.

Frames are worked on by one thread unless ``POLARS_MAX_THREADS`` says otherwise: the small
ones of tests cost less so, and there is a process for each core. That threads change no
byte has its own tests; ``make faults`` runs with two.
"""

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")
