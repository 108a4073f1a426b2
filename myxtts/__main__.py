"""`python -m myxtts`: the same as the `myxtts` command, with the package of the current folder."""

from myxtts.cli import main

if __name__ == "__main__":
    main()
