"""The directive `command-help`: what `pyinit COMMAND --help` prints, by the parser itself."""

import argparse
import os

from docutils import nodes
from docutils.parsers.rst import Directive

from pyinit import cli


def help_of(command):
    """Give the help of a command, or that of the program for an empty name, in 80 columns and without colours."""
    os.environ |= {"COLUMNS": "80", "NO_COLOR": "1"}  # argparse asks the environment for both
    parser = cli.parser()
    for name in command.split():
        [choices] = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        parser = choices[name]
    return parser.format_help()


class CommandHelp(Directive):
    """Put the help of the command that is the argument, if there is one, into the page."""

    optional_arguments = 1
    final_argument_whitespace = True

    def run(self):
        """Make the block."""
        text = help_of(self.arguments[0] if self.arguments else "")
        return [nodes.literal_block(text, text, language="text")]


def setup(app):
    """Add the directive to Sphinx."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
