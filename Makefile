# Two commands do everything on a fresh clone: `make demo` runs the service, `make test` runs every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ready := $(VENV)/.ready

# Every import would compile torch and diffusers anew if nothing may write byte code.
unexport PYTHONDONTWRITEBYTECODE
# The tests' processes share the cores; one thread each is faster than all of them fighting.
tests: export OMP_NUM_THREADS = 1
soak: export OMP_NUM_THREADS = 1

.PHONY: help demo test checks tests soak bench serve lock clean

help:  ## List these commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 10

demo: $(ready)  ## Start the real service, send it requests, draw demo/contact-sheet.png
	$(BIN)/studio demo

test: checks tests  ## Linters, types, import contracts and tests

checks: $(ready)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

tests: $(ready)
	$(BIN)/pytest -m 'not gpu and not soak' -n 2 --dist worksteal

soak: $(ready)  ## The long tests at full count
	$(BIN)/pytest -m 'soak' -n 2

bench: $(ready)  ## Measure flux-mini
	$(BIN)/studio bench mini

serve: $(ready)  ## Run the service
	$(BIN)/studio serve

lock: $(ready)  ## Resolve constraints.txt anew (needs uv)
	uv pip compile --universal --python-version 3.11 --extra dev --no-annotate --no-header pyproject.toml -o constraints.txt

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(ready): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
