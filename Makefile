# Everything on a machine with Python 3.11 or newer and make: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin
DEMO := out/demo
PORTRAITS := examples/astronaut.png examples/grace_hopper.jpg

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

# The four commands on two portraits. Two faces are few to train on, so they are first animated
# into thirty expressions by the shipped generator, which the training then starts from.
demo: install
	rm -rf $(DEMO)
	$(BIN)/python examples/expressions.py $(DEMO)/raw $(PORTRAITS)
	$(BIN)/ganim prepare --src $(DEMO)/raw --out $(DEMO)/shards
	$(BIN)/ganim annotate $(DEMO)/shards
	$(BIN)/ganim train $(DEMO)/shards --run $(DEMO)/run --init shipped \
		--critic-width 32 --critic-layers 5 --batch 8 --critic-warmup 30 --epochs 20 --decay-epochs 5
	$(BIN)/ganim animate examples/astronaut.png --au 12=1.0 --weights $(DEMO)/run/generator.safetensors \
		-o $(DEMO)/smile.png
	$(BIN)/ganim animate examples/grace_hopper.jpg --au 12=1.0 --au 25=0.6 \
		--weights $(DEMO)/run/generator.safetensors -o $(DEMO)/smile.gif
	@echo "Look at $(DEMO)/smile.png, $(DEMO)/smile.gif and $(DEMO)/run/grids."

test: install lint
	$(BIN)/pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .uv out
