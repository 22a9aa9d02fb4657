"""A plugin for Alembic's autogenerate: applications that use jobcron need no line about it in their ``env.py``.

Alembic 1.18 and later find it by the entry point ``alembic.plugins``. Its name there begins with
``alembic.autogenerate.``, since plugins of other names are off unless an ``env.py`` switches them on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import UpgradeOps
    from alembic.runtime.plugins import Plugin
    from alembic.util import PriorityDispatchResult
    from sqlalchemy.schema import SchemaItem

    Kind = Literal[
        "schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint", "check_constraint"
    ]


def setup(plugin: Plugin) -> None:
    """Take part in each comparison of a database with an application's metadata; Alembic calls this."""
    from alembic.util import DispatchPriority

    plugin.add_autogenerate_comparator(_prepare, "autogenerate", priority=DispatchPriority.FIRST)


def _prepare(context: AutogenContext, operations: UpgradeOps) -> PriorityDispatchResult:
    """Leave jobcron's tables alone, and render its type of column as SQL's."""
    # Not at the top: Alembic imports this module before it is complete itself.
    from alembic.util import PriorityDispatchResult

    from jobcron.database.version import include_object
    from jobcron.jobs.family import render_item

    wanted = {table.name for table in context.table_key_to_table.values()}
    is_included, rendered = context.run_object_filters, context.opts.get("render_item")

    def is_included_and_not_ours(
        thing: SchemaItem, name: str | None, kind: Kind, reflected: bool, other: SchemaItem | None
    ) -> bool:
        is_unknown = kind == "table" and reflected and name not in wanted
        if is_unknown and not include_object(thing, name, kind, reflected, other):
            return False
        return is_included(thing, name, kind, reflected, other)

    def rendered_by_either(kind: str, thing: object, render_context: AutogenContext) -> object:
        by_application = rendered(kind, thing, render_context) if rendered else False
        return render_item(kind, thing, render_context) if by_application is False else by_application

    context.run_object_filters = is_included_and_not_ours  # type: ignore[method-assign, assignment]
    context.opts["render_item"] = rendered_by_either
    return PriorityDispatchResult.CONTINUE
