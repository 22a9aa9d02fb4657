"""Compile each template once for all dashboards of a test process: each has templates of its own."""

from __future__ import annotations

import functools

from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket

from jobcron.web import _texts


class CompiledTemplates(BytecodeCache):
    """Compiled templates, by their names, their files and what is in these."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill a bucket if its template has been compiled."""
        if (found := self._kept.get((bucket.key, bucket.checksum))) is not None:
            bucket.bytecode_from_string(found)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template that was just compiled."""
        self._kept[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


def compile_templates_once() -> None:
    """Let all dashboards of this process share their compiled templates."""
    vars(_texts)["Environment"] = functools.partial(Environment, bytecode_cache=CompiledTemplates())
