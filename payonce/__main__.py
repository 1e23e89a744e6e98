"""`python -m payonce` is the command line."""

from payonce.cli import main

main()
