# Everything on a machine with Python 3.11 or newer and make: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin
DEMO := out/demo
PORTRAITS := examples/astronaut.png examples/grace_hopper.jpg

# Python keeps what it compiles, otherwise every process would compile torch's sources for seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test lint clean

install: .venv/installed

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "ganim needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	.uv/bin/uv sync --quiet --python .uv/bin/python
	@mkdir -p .venv/typed && ln -sfn ../.. .venv/typed/ganim
	@touch $@

# The four commands on two portraits. Two photographs are few to train on, so the shipped generator
# first renders each with fourteen expressions. The training, which starts from the same generator,
# takes them as the series of two persons.
demo: install
	rm -rf $(DEMO)
	$(BIN)/python examples/expressions.py $(DEMO)/raw $(PORTRAITS)
	$(BIN)/ganim prepare --src $(DEMO)/raw --out $(DEMO)/shards --series folder --size 192 --margin 0.3
	$(BIN)/ganim annotate $(DEMO)/shards
	$(BIN)/ganim train $(DEMO)/shards --run $(DEMO)/run --init shipped \
		--paired 0.5 --batch 4 --epochs 2 --decay-epochs 2 --lr 5e-5
	$(BIN)/ganim animate examples/astronaut.png --au 12=1.0 --weights $(DEMO)/run/generator.safetensors \
		-o $(DEMO)/smile.png
	$(BIN)/ganim animate examples/grace_hopper.jpg --au 12=1.0 --au 25=0.6 \
		--weights $(DEMO)/run/generator.safetensors -o $(DEMO)/smile.gif
	@echo "Look at $(DEMO)/smile.png, $(DEMO)/smile.gif and $(DEMO)/run/grids."

# Each process gets whole files, so that what the tests of a file share is made once; in the order
# of tests/conftest.py.
test: install lint
	$(BIN)/pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .uv out
