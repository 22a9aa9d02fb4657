"""The legal moves of a job's status, written down once more: the code's own table is what is tested."""

from __future__ import annotations

import itertools

from jobcron import JobStatus

W, R, C, F, S, X, E, B = JobStatus


# As the design has them, written down once more: the code's own table is what is tested.
LEGAL = {
    W: {R, S, X, E, C, B},
    R: {W, C, F, S, X},
    C: {W, B},
    F: {W, C, B},
    S: {W, X, C},
    X: {W, C, B},
    E: {W, C, B},
    B: {W, X, E, C},
}


MOVES = [pair for pair in itertools.product(JobStatus, repeat=2) if pair[0] is not pair[1]]
