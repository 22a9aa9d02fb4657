# PYTHON=python3.13 chooses the Python of .venv; left out, an existing .venv is kept as it is.
# make itself hands variables of its command line (JOBCRON_DATABASE_URL=…) on to the recipes.

# Without compiled files every import costs several times as much.
unexport PYTHONDONTWRITEBYTECODE

# The example runs one folder down: only an absolute path and a URL keep their meaning there.
repository = $(if $(filter /%,$(REPOSITORY))$(findstring :,$(REPOSITORY)),,../)$(REPOSITORY)

# Two more than there are processors: many tests wait, for a lease or a grace to end.
workers = $$(( $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 2 ))

.DEFAULT_GOAL := help
.PHONY: help run test check docs chaos zoo bench clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do \
		printf '  make %-8s %s\n' "$$name" "$$text"; done

run: ## run the example application (REPOSITORY=path, JOBCRON_DATABASE_URL=url)
	@tools/environment.sh run
	cd examples && ../.venv/bin/python -m codehost$(if $(REPOSITORY), --repository "$(repository)")

test: check ## run the checks and all tests (PYTHON=python3.13, PYTEST_ARGS="-k lease")
	@tools/environment.sh server
	.venv/bin/python -m pytest -n $(workers) $(PYTEST_ARGS)

# Rules of the layout that are not enforced yet. "make check LATER=" enforces all; so does an empty line here.
LATER =

check: ## run the linter, the type checker, and the checks of the import order and of the layout
	@tools/environment.sh test
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/python tools/check_layout.py $(addprefix --later ,$(LATER))

docs: ## build the documentation: build/docs/index.html
	@tools/environment.sh test
	.venv/bin/python -m sphinx -q -W --keep-going -b html docs build/docs

chaos: ## run the proofs in their full size: hours (JOBCRON_SEED=n replays a storm)
	@tools/environment.sh test
	@tools/environment.sh server
	JOBCRON_CHAOS=1 .venv/bin/python -m pytest -n auto tests/proofs tests/security $(PYTEST_ARGS)

zoo: ## put known faults back, one after the other, and show which proof catches each
	@tools/environment.sh test
	@tools/environment.sh server
	.venv/bin/python tests/proofs/zoo.py $(ZOO_ARGS)

bench: ## measure against the floors, and print the ratios (BENCH_ARGS="--only P7")
	@tools/environment.sh test
	@tools/environment.sh server
	.venv/bin/python -m bench $(BENCH_ARGS)

clean: ## remove .venv, var and everything that was built or cached
	rm -rf .venv var build dist lib/*.egg-info htmlcov .coverage .coverage.* .hypothesis \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
