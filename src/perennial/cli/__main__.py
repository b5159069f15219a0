"""``python -m perennial.cli``: the command, where no script of it is on the path, as in a container."""

from perennial.cli import main

if __name__ == "__main__":
    main()
