"""``python -m bench``: measure, print the ratios, write the results. See README.md in this folder."""

from __future__ import annotations

import argparse
import signal
import sys

from bench.docs import PageHasNoPlace, write_charts, write_docs
from bench.postgresql import NotDurable
from bench.report import CHARTS, as_json, as_markdown, as_text, write
from bench.suite import BARS, PROFILES, RESULTS, run_profile, run_suite
from bench.worker import WorkerFailed
from jobcron.testing.programs import ServerNotFound
from jobcron.testing.server import ServerFailed

EXPECTED = (NotDurable, PageHasNoPlace, ServerFailed, ServerNotFound, WorkerFailed)
"""Errors that say all there is to say: they are shown without a traceback."""


def main() -> int:
    """Do what the command line says, and return the exit status: 0 also where a bar is missed."""
    parser = _parser()
    options = parser.parse_args()
    if options.write_docs and set(options.only) != set(BARS):
        parser.error("expected --write-docs without --only: the page shows all results of one run")
    # SIGTERM as well leaves by the way that cleans up.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if options.profile:
            print(f"The profile is in {run_profile(options.profile, options.jobs)}")
        else:
            _measure(options)
    except EXPECTED as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped from the keyboard", file=sys.stderr)
        return 130
    return 0


def _measure(options: argparse.Namespace) -> None:
    report = run_suite(
        options.only,
        options.rounds,
        options.jobs,
        lambda text: print(text, file=sys.stderr),
        has_peers=options.peers == "all",
    )
    paths = write(report, RESULTS)
    print(as_text(report))
    print("\nMedians of the rounds; the rest is in:", *paths, sep="\n  ")
    if options.write_docs:
        write_docs(f"{CHARTS}\n\n{as_markdown(report)}")
        write_charts(as_json(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Measure jobcron beside the same work in bare SQL.")
    add = parser.add_argument
    add("--rounds", type=_count, default=5, metavar="N", help="how often each is measured (default: 5)")
    add("--jobs", type=_count, default=2000, metavar="N", help="how many are run or made at once (default: 2000)")
    add("--only", type=_bars, default=list(BARS), metavar="P1,P7", help=f"only these of {', '.join(BARS)}")
    add("--peers", choices=("all", "none"), default="all", help="whether other queues take part (default: all)")
    add("--profile", choices=PROFILES, help="measure nothing: write where the time goes, by function")
    add("--write-docs", action="store_true", help="put the results into docs/performance.md")
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got: {text!r}")
    return int(text)


def _bars(text: str) -> list[str]:
    wanted = text.upper().split(",")
    if unknown := [bar for bar in wanted if bar not in BARS]:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(BARS)}, got: {', '.join(unknown)}")
    return wanted


if __name__ == "__main__":
    sys.exit(main())
