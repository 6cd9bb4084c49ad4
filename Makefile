# make demo   concept scenes: draw, train, extract, score, dissect, search; one table at the end
# make test   style, types and the default tests
# make slow   the long tests as well
# make gallery   the demo's explorer as a folder for a web server, in build/gallery
# make coverage   the default tests, and the share of lines of the core that they run
# make docs   pages of the Python API, in build/api
# make lock   requirements.lock from the versions in .venv (Linux x86-64, Python 3.11)
# Each makes its own environment in .venv; PYTHON chooses the interpreter (3.11 to 3.13).

PYTHON ?= python3
RUN := .venv/bin/python
IBC := $(RUN) -m ibc
DEMO := demo
MODEL := $(DEMO)/outputs/demo
CODES := $(DEMO)/results/demo/test.npz

.PHONY: demo gallery test slow coverage docs lock clean-demo

demo: .venv/installed
	$(IBC) prepare concept_scenes $(DEMO)/data
	$(IBC) train --config configs/demo.yaml --output_path $(DEMO) --set data_folder=$(DEMO)/data/ \
	    $(if $(wildcard $(MODEL)/checkpoints/checkpoint_*.pt),--resume)
	$(IBC) extract --config configs/demo.yaml --checkpoint $(MODEL) --save_name test --output_path $(DEMO) \
	    --set data_folder=$(DEMO)/data/ --json $(DEMO)/extraction.json
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

gallery: demo
	rm -rf build/gallery
	mkdir -p build
	cp -r $(DEMO)/explorer build/gallery

test: .venv/tested
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) -m pytest -n 2 --dist loadfile

slow: .venv/tested
	$(RUN) -m pytest -m slow

coverage: .venv/tested
	$(RUN) -m pip install --quiet coverage
	# Left out are tests that bound time and memory, since tracing takes both; the report comes whatever fails.
	-$(RUN) -m coverage run -m pytest --ignore tests/fuzz --ignore tests/test_start.py \
	    --deselect tests/test_config.py::test_hostile_files_are_refused_at_once
	$(RUN) -m coverage report

docs: .venv/tested
	$(RUN) -m pip install --quiet -r requirements-docs.txt
	$(RUN) -W ignore -m pdoc --output-directory build/api ibc

lock: .venv/tested
	$(RUN) -m pip install --quiet uv
	$(RUN) -m pip freeze | grep == > .venv/frozen.txt
	(echo "# The tested environment: Python 3.11 on Linux x86-64, with every extra. Made by make lock; installed by"; \
	    echo "# pip install --require-hashes -r requirements.lock"; \
	    $(RUN) -m uv pip compile --quiet --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --generate-hashes \
	    --no-emit-index-url --no-annotate --no-header --constraints .venv/frozen.txt requirements.txt requirements-test.txt \
	    requirements-doctor.txt requirements-export.txt requirements-offline.txt) > .venv/lock
	mv .venv/lock requirements.lock

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
