"""One file for each queue: ``prepare`` makes its tables and jobs, ``drain`` runs them, ``create`` makes more.

They are run by the peers' own Python or Node.js, not by jobcron's, and tell what they took by ``bench.stopwatch``.
"""
