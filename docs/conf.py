"""How Sphinx builds the documentation: Markdown in, pages out that need no network."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SAWarning

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generate import fill as filled  # noqa: E402
from generate_text import without_ids  # noqa: E402

import jobcron  # noqa: E402

project = "jobcron"
author = "the jobcron developers"
project_copyright = author
version = release = jobcron.__version__

# autodoc looks at the columns of a mixin that belongs to no table.
warnings.filterwarnings("ignore", "Unmanaged access of declarative attribute", SAWarning)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

# Single backticks in docstrings: a link where there is something to link to, code elsewhere.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pictures.css"]
html_title = f"jobcron {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


def setup(app: Any) -> None:
    """Put the generated parts into the pages as they are read; these are read at each build."""
    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", tidy, priority=100)  # before napoleon
    app.connect("env-get-outdated", lambda *args: [page for page in app.env.found_docs if "reference/" in page])


def fill(app: Any, page: str, source: list[str]) -> None:
    """Replace the marks of a page by what they stand for."""
    source[0] = filled(source[0])


def tidy(app: Any, kind: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Leave out the ids of features; keep napoleon from taking what stands before a colon for a type."""
    lines[:] = [without_ids(line) for line in lines]
    if lines and kind in ("attribute", "data", "property"):
        lines[0] = f": {lines[0]}"
