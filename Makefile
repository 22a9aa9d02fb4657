# PYTHON=python3.13 chooses the Python of .venv; left out, an existing .venv is kept as it is.
# make itself hands variables of its command line (JOBCRON_DATABASE_URL=…) on to the recipes.

# Without compiled files every import costs several times as much.
unexport PYTHONDONTWRITEBYTECODE

# The example runs one folder down: only an absolute path and a URL keep their meaning there.
repository = $(if $(filter /%,$(REPOSITORY))$(findstring :,$(REPOSITORY)),,../)$(REPOSITORY)

# Two more than there are processors: many tests wait, for a lease or a grace to end.
workers = $$(( $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 2 ))

.DEFAULT_GOAL := help
.PHONY: help run web test quick check docs dist chaos zoo mutants bench bench-scale clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do \
		printf '  make %-8s %s\n' "$$name" "$$text"; done

run: ## run the example application (REPOSITORY=path, JOBCRON_DATABASE_URL=url)
	@tools/environment.sh run
	cd examples && ../.venv/bin/python -m codehost$(if $(REPOSITORY), --repository "$(repository)")

web: ## run the example application, and the dashboard on its data (WEB_ARGS="--listen 127.0.0.1:9000")
	@tools/environment.sh web
	cd examples && ../.venv/bin/python -m codehost$(if $(REPOSITORY), --repository "$(repository)")
	.venv/bin/jobcron web $(WEB_ARGS)

# On SQLite, and without what starts many processes or waits: what most changes would break first.
QUICK = $(filter-out tests/jobs/test_creators.py,$(wildcard tests/jobs/test_*.py)) \
	tests/database/test_jobs_view.py tests/database/test_statements.py \
	$(foreach name,datatypes durations instance reading settings suggestions,tests/settings/test_$(name).py)

# What would take a processor half of that minute: tests with many processes, jobs or texts.
TOO_LONG = sixteen_processes ten_thousand any_text_loads the_numbers_are_in_the_order

quick: ## run a choice of the tests, on SQLite, in less than a minute (QUICK="tests/queue")
	@tools/environment.sh test
	.venv/bin/ruff check .
	.venv/bin/python tools/check_layout.py
	.venv/bin/python -m pytest -q -n $(workers) -k "not postgresql$(foreach name,$(TOO_LONG), and not $(name))" $(QUICK) $(PYTEST_ARGS)

# Rules of the layout that are not enforced yet. "make check LATER=" enforces all; so does an empty line here.
LATER =

define quick_checks
.venv/bin/ruff check .
.venv/bin/lint-imports --no-logo
.venv/bin/python tools/check_layout.py $(addprefix --later ,$(LATER))
endef

# The types take a processor most of a minute: they are checked beside the tests. What is wrong with them is told as
# soon as it is known, and again at the end.
test: ## run the checks and all tests (PYTHON=python3.13, PYTEST_ARGS="-k lease")
	@tools/environment.sh test
	$(quick_checks)
	@tools/environment.sh server
	@mkdir -p build
	(.venv/bin/mypy >build/mypy.log 2>&1 || { cat build/mypy.log; exit 1; }) & types=$$!; \
		.venv/bin/python -m pytest -n $(workers) $(PYTEST_ARGS); tests=$$?; \
		wait $$types; types=$$?; cat build/mypy.log; exit $$(( tests || types ))

check: ## run the linter, the type checker, and the checks of the import order and of the layout
	@tools/environment.sh test
	$(quick_checks)
	.venv/bin/mypy

docs: ## build the documentation: build/docs/index.html
	@tools/environment.sh test
	.venv/bin/python -m sphinx -q -W --keep-going -b html docs build/docs

dist: ## build the wheel and the sdist, check them, and try them out in an empty environment: dist/
	@tools/environment.sh test
	.venv/bin/python tools/dist.py

chaos: ## run the proofs in their full size: hours (JOBCRON_SEED=n replays a storm)
	@tools/environment.sh test
	@tools/environment.sh server
	JOBCRON_CHAOS=1 .venv/bin/python -m pytest -n auto tests/proofs tests/security $(PYTEST_ARGS)
	JOBCRON_CHAOS=1 JOBCRON_TEST_DRIVER=psycopg .venv/bin/python -m pytest -n auto -k "not sqlite" tests/proofs $(PYTEST_ARGS)

zoo: ## put known faults back, one after the other, and show which proof catches each
	@tools/environment.sh test
	@tools/environment.sh server
	.venv/bin/python tests/proofs/zoo.py $(ZOO_ARGS)

mutants: ## change the modules that decide, a place at a time, and show which changes no test notices: an hour or two (MUTANTS_ARGS="--only claim")
	@tools/environment.sh test
	@tools/environment.sh server
	@.venv/bin/python -c 'import cosmic_ray' 2>/dev/null || \
		.venv/bin/python -m pip install -qq --disable-pip-version-check 'cosmic-ray>=8.7'
	.venv/bin/python tools/mutants $(MUTANTS_ARGS)

bench-scale: ## measure what grows: claims and ticks in large tables, many sections, memory
	.venv/bin/python -m bench.scale $(BENCH_ARGS)

bench: ## measure against the floors, and print the ratios (BENCH_ARGS="--only P7")
	@tools/environment.sh test
	@tools/environment.sh server
	.venv/bin/python -m bench $(BENCH_ARGS)

clean: ## remove .venv, var and everything that was built or cached
	rm -rf .venv var build dist lib/*.egg-info htmlcov .coverage .coverage.* .hypothesis \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
