# `make run` and `make test` do all the set-up on a fresh machine with Python >= 3.11 and a package index.
PYTHON ?= python3
# nproc would take OMP_NUM_THREADS for the number of cores.
CORES ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || sysctl -n hw.ncpu)
VENV := .venv
BIN := $(VENV)/bin

# What the libraries read: how wide the vector units are that they may use. AVX2 orders sums furthest from AVX-512.
OLDER_PROCESSOR := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 OPENBLAS_CORETYPE=Haswell

# The newest Snakemake, with the plugins that the profiles use, in an environment that nothing else uses.
NEWEST := build/newest-snakemake
NEWEST_PACKAGES := "snakemake[reports]" snakemake-executor-plugin-slurm snakemake-executor-plugin-lsf
# Where coverage.py, in all processes of the tests, writes.
COVERAGE := $(abspath build/coverage)

.PHONY: run demo-real test test-portable test-newest-snakemake coverage mutants lint format docs hooks envs config wheel clean

run: $(VENV)/.installed  ## the demo set by the filter bank, which is quick, from images to results/demo/report.html
	$(BIN)/snakemake --cores $(CORES) --config backbone=embedded

demo-real: $(VENV)/.installed-elpv  ## real photographs of solar cells, from a package to results/elpv/report.html
	$(BIN)/snakemake --cores $(CORES) --configfile config/elpv.yaml

test: $(VENV)/.installed-dev  ## the whole test suite, in a process more than cores: runs on clusters mostly wait
	$(BIN)/python -m pytest --numprocesses $$(($(CORES) + 1)) --dist loadfile --no-loadscope-reorder

test-portable: $(VENV)/.installed-dev  ## the tests of numerics as on a processor without AVX-512, where float32 sums round otherwise
	$(OLDER_PROCESSOR) $(BIN)/python -m pytest tests/numerics --numprocesses $(CORES) --dist loadfile

test-newest-snakemake:  ## the tests of the workflow with the newest Snakemake, in an environment of their own
	$(MAKE) VENV=$(NEWEST) $(NEWEST)/.installed-dev
	$(NEWEST)/bin/python -m pip install --quiet --upgrade $(NEWEST_PACKAGES)
	$(NEWEST)/bin/snakemake --version
	$(NEWEST)/bin/python -m pytest tests/cluster tests/workflow tests/unit/workflow --numprocesses $$(($(CORES) + 1)) --dist loadfile --no-loadscope-reorder

coverage: $(VENV)/.installed-checks  ## which lines and branches the test suite runs: build/coverage/report.md and html/
	rm -rf $(COVERAGE) && mkdir -p $(COVERAGE)
	COVERAGE_FILE=$(COVERAGE)/data $(BIN)/coverage run -m pytest --numprocesses $$(($(CORES) + 1)) --dist loadfile --no-loadscope-reorder $(OPTIONS)
	COVERAGE_FILE=$(COVERAGE)/data $(BIN)/coverage combine --quiet
	COVERAGE_FILE=$(COVERAGE)/data $(BIN)/coverage html --quiet --directory $(COVERAGE)/html
	COVERAGE_FILE=$(COVERAGE)/data $(BIN)/coverage report --format=markdown > $(COVERAGE)/report.md
	COVERAGE_FILE=$(COVERAGE)/data $(BIN)/coverage report --format=total

mutants: $(VENV)/.installed-mutants  ## whether tests notice single changes of scoring, evaluation and refinement; OPTIONS="--help"
	PYTHONPATH=tests $(BIN)/python -m mutants $(OPTIONS)

lint: $(VENV)/.installed-dev  ## format, style and types, as CI checks them
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

format: $(VENV)/.installed-dev  ## put the code into its format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/snakefmt Snakefile rules

hooks: $(VENV)/.installed-checks  ## have git run the quick checks before each commit, and all of `make lint` before a push
	$(BIN)/pre-commit install

docs: $(VENV)/.installed-docs  ## the documentation as a website, site/index.html; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

envs:  ## write the conda environments anew, after a change of the requirements
	$(PYTHON) envs/write_environments.py

config: $(VENV)/.installed  ## write config.yaml and its schema anew, after a change of zsad/workflow/schema.py
	$(BIN)/python -m zsad.workflow.written_config

wheel: $(VENV)/.installed  ## build the wheel, install it into a fresh environment, and use it there
	rm -rf build/lib build/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet build/wheel/zsad-*.whl
	cd build/wheel && venv/bin/python -I -c 'import zsad; print(zsad.__file__)' && venv/bin/zsad --version && venv/bin/zsad methods

clean:  ## remove results, the site and the environment
	rm -rf $(VENV) results/*/ .snakemake site

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("zsad needs Python 3.11 or newer, not " + sys.version.split()[0] + "; set PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.installed-elpv: $(VENV)/.installed envs/extras/elpv.txt
	$(BIN)/python -m pip install --quiet --requirement envs/extras/elpv.txt
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

$(VENV)/.installed-checks: $(VENV)/.installed-dev requirements-checks.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-checks.txt
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed requirements-docs.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-docs.txt
	touch $@

$(VENV)/.installed-mutants: $(VENV)/.installed-dev tests/mutants/requirements.txt
	$(BIN)/python -m pip install --quiet --requirement tests/mutants/requirements.txt
	touch $@
