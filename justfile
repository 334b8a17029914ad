# Commands for developers. `.ci/run` runs the same checks, and the slow tests.
set shell := ["bash", "-euo", "pipefail", "-c"]

default: check

fmt:
    ruff format .
    ruff check --fix .

lint:
    ruff format --check .
    ruff check .
    codespell asl_kit extract train evaluate tests manifests README.md docs CHANGELOG.md
    numpydoc lint $(git ls-files "asl_kit/*.py" "extract/*.py" "train/*.py" "evaluate/*.py")

type:
    mypy

test *arguments:
    python -m pytest {{arguments}}

# Takes minutes: the demo, large backbones, killed processes, pages in a browser.
test-slow:
    python -m pytest -m slow

# The documentation site, in build/docs/html.
docs:
    python docs/site/build.py

check: lint type docs test
