"""Run the command line with ``python -m asl_kit``."""

from asl_kit.cli import main

main()
