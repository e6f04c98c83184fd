"""`python -m sdk.cli`: the command `knownat`, where it is not on the path."""

from sdk.cli.app import main

if __name__ == "__main__":
    main()
