# Every target is one command of tools/course.py, which needs Python >= 3.11 and nothing else.
# Without make: python tools/course.py book (and so on).

PYTHON ?= python3
COURSE = $(PYTHON) tools/course.py

# LESSONS_DATA=dir and TORCH=cpu reach the commands as variables of the environment, as they are.

.DEFAULT_GOAL := help
.PHONY: help book check test env notebooks editions slides assignment grade pdf bundle lint format lines bench links serve \
        lock release clean distclean

help:
	@echo "make book        execute the chapters that changed and build the site"
	@echo "make check       style, types, the tests that are not slow: after each change, about a minute"
	@echo "make test        style, types, unit tests, every chapter once, the built site"
	@echo "make serve       show the built site on http://127.0.0.1:8000"
	@echo "make notebooks   execute, and write the outputs back into book/ for committing (CHAPTERS=01: one)"
	@echo "make editions    renew install cells and badges in book/, the editions in colab/ and student/"
	@echo "make assignment  make the problem set in _build/assignment: to hand out, and to grade"
	@echo "make grade SUBMISSIONS=dir   grade the problem sets in a directory, without Docker"
	@echo "make slides      the slides of the lecture, with the figures of the chapters"
	@echo "make pdf         the built book as one PDF, printed by Chromium"
	@echo "make bundle      one file with the site, the notebooks and the package, for use offline"
	@echo "make lint        ruff and mypy only"
	@echo "make format      let ruff format and mend code and notebooks"
	@echo "make lines       count lines against their limits"
	@echo "make bench       measure speed as ratios within one run (ARGS=agreement: one of them)"
	@echo "make links       follow the external links (needs the network)"
	@echo "make env         only make or renew the environment in .venv"
	@echo "make lock        pin requirements.in in requirements.txt (UPGRADE=1: newest versions)"
	@echo "make release VERSION=0.2.0   write the version everywhere, build the wheel; pushes nothing"
	@echo "                 REPOSITORY=https://github.com/... and SITE=https://... where they change"
	@echo "make clean       remove what was built; make distclean: the environment as well"
	@echo
	@echo "PYTHON=python3.12  the Python that makes .venv        TORCH=cpu  torch without CUDA"
	@echo "LESSONS_DATA=dir   where the corpora are already"

book check test env editions assignment slides pdf bundle format lines links:
	@$(COURSE) $@

notebooks:
	@$(COURSE) notebooks $(CHAPTERS)

bench:
	@$(COURSE) bench $(ARGS)

grade:
	@$(COURSE) grade "$(or $(SUBMISSIONS),$(error make grade SUBMISSIONS=directory))"

serve:
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory _build/html 8000

lock:
	@$(COURSE) lock $(if $(UPGRADE),--upgrade)

release:
	@$(COURSE) release $(or $(VERSION),$(error make release VERSION=0.2.0)) --repository="$(REPOSITORY)" --site="$(SITE)"

lint:
	@$(COURSE) check --only style --only types

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache

# Not an environment that somebody else made.
distclean: clean
	@if [ -e .venv/course.json ]; then rm -rf .venv; \
	elif [ -e .venv ]; then echo "expected a .venv that this course made, found another; it stays" >&2; exit 1; fi
