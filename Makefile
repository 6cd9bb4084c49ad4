# make demo   concept scenes: draw, train, extract, score, dissect, search; one table at the end
# make test   style, types and the default tests
# make slow   the long tests as well
# Each makes its own environment in .venv; PYTHON chooses the interpreter (3.11 to 3.13).

PYTHON ?= python3
RUN := .venv/bin/python
IBC := $(RUN) -m ibc
DEMO := demo
MODEL := $(DEMO)/outputs/demo
CODES := $(DEMO)/results/demo/test.npz

.PHONY: demo test slow clean-demo

demo: .venv/installed
	$(IBC) prepare concept_scenes $(DEMO)/data
	$(IBC) train --config configs/demo.yaml --output_path $(DEMO) \
	    $(if $(wildcard $(MODEL)/checkpoints/checkpoint_*.pt),--resume)
	$(IBC) extract --config configs/demo.yaml --checkpoint $(MODEL) --save_name test --output_path $(DEMO) \
	    --json $(DEMO)/extraction.json
	$(IBC) mis --fea_file_path $(CODES) --json $(DEMO)/mis.json > $(DEMO)/mis.txt
	$(IBC) evaluate $(CODES) --data sun --attribute all --attribute_names $(DEMO)/data/attributes.txt \
	    --json $(DEMO)/retrieval.json > $(DEMO)/retrieval.txt
	$(IBC) dissect --checkpoint $(MODEL) --broden $(DEMO)/data/broden --quantile 0.02 --output $(DEMO)/dissection \
	    --json $(DEMO)/dissection.json > $(DEMO)/dissection.txt
	$(IBC) search $(CODES) --item 3 --rows all,expert,concept --top 8 --images $(DEMO)/data \
	    --dissection $(DEMO)/dissection --class_names $(DEMO)/data/classes.txt --sheet $(DEMO)/search.png \
	    > $(DEMO)/search.txt
	$(IBC) explore $(CODES) --images $(DEMO)/data --dissection $(DEMO)/dissection \
	    --class_names $(DEMO)/data/classes.txt --attribute_names $(DEMO)/data/attributes.txt -o $(DEMO)/explorer
	$(IBC) report $(MODEL) --codes $(CODES) --output $(DEMO)/report
	$(IBC) summary $(DEMO)

test: .venv/tested
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) -m pytest

slow: .venv/tested
	$(RUN) -m pytest -m slow

clean-demo:
	rm -rf $(DEMO)

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet -r requirements.txt
	touch $@

.venv/tested: requirements-test.txt requirements-doctor.txt requirements-export.txt requirements-offline.txt .venv/installed
	$(RUN) -m pip install --quiet -r requirements-test.txt -r requirements-doctor.txt -r requirements-export.txt \
	    -r requirements-offline.txt
	touch $@
