"""Dashboards of one test process share their compiled templates, and each shows what its templates say."""

from __future__ import annotations

from jinja2 import DictLoader, Environment

from compiled_templates import CompiledTemplates


class Counting(Environment):
    """Templates that count how often one of them is compiled."""

    compiled = 0

    def _generate(self, *arguments: object, **options: object) -> str:
        Counting.compiled += 1
        return super()._generate(*arguments, **options)  # type: ignore[arg-type]


def test_a_template_is_compiled_once_and_again_when_it_has_changed() -> None:
    kept = CompiledTemplates()

    def page(text: str, **filters: object) -> str:
        made = Counting(loader=DictLoader({"page.html": text}), bytecode_cache=kept, autoescape=True)
        made.filters.update(filters)
        return made.get_template("page.html").render(name="<Ada>")

    assert page("{{ name|shown }}", shown=str.lower) == "&lt;ada&gt;"
    assert page("{{ name|shown }}", shown=str.upper) == "&lt;ADA&gt;", "filters are each one's own"
    assert Counting.compiled == 1
    assert page("Hello {{ name }}") == "Hello &lt;Ada&gt;"
    assert Counting.compiled == 2
