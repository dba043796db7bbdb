"""The directive `command-help`, which shows what `pyinit COMMAND --help` prints."""

import argparse
import os

from docutils import nodes
from docutils.parsers.rst import Directive

from pyinit import cli


def help_of(command):
    """Return the help of a command, or of the program if the name is empty, in 80 columns and without colours."""
    os.environ |= {"COLUMNS": "80", "NO_COLOR": "1"}  # argparse reads both from the environment
    parser = cli.parser()
    for name in command.split():
        [choices] = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        parser = choices[name]
    return parser.format_help()


class CommandHelp(Directive):
    """Show the help of the command in the argument, or of the program if there is no argument."""

    optional_arguments = 1
    final_argument_whitespace = True

    def run(self):
        """Return the block of text."""
        text = help_of(self.arguments[0] if self.arguments else "")
        return [nodes.literal_block(text, text, language="text")]


def setup(app):
    """Add the directive to Sphinx."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
