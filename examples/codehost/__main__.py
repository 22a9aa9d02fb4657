"""The command ``python -m codehost [--repository PATH]``."""

from __future__ import annotations

import argparse
import sys
from io import TextIOWrapper
from pathlib import Path

from codehost import demo
from codehost.git import GitError
from jobcron import UserMistake, load_settings


def main() -> int:
    """Run the demonstration and return its exit status; print user mistakes without a traceback."""
    parser = argparse.ArgumentParser(
        prog="codehost", description="Propose merges in a git repository, and run the jobs that follow."
    )
    parser.add_argument(
        "--repository", type=Path, metavar="PATH", help="a git repository; by default this checkout"
    )
    path = parser.parse_args().repository
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # titles may have characters that the terminal lacks
    try:
        demo.run(load_settings(), path and path.resolve())
    except demo.NotARepository as error:
        parser.error(f"--repository: {error}")
    except demo.CommandFailed as error:
        return error.status
    except (UserMistake, GitError, OSError) as error:
        print(f"codehost: {error}", file=sys.stderr)
        return getattr(error, "exit_status", 1)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
