"""The command `graphwright`."""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from graphwright import demo
from graphwright.compiler.native.disk_cache import DiskCache
from graphwright.compiler.native.target import Target
from graphwright.graph.errors import GraphwrightError
from graphwright.terminal import say


class _Parser(argparse.ArgumentParser):
    """An argument parser that says which command was probably meant."""

    def error(self, message: str) -> NoReturn:
        words = message.split("'")
        if "invalid choice" in message and len(words) > 2:
            offered = [word for word in words[3:] if word.isidentifier() or "-" in word]
            near = difflib.get_close_matches(words[1], offered, 1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        say(f"{self.prog}: {message}", sys.stderr)
        say(f"{self.prog} --help lists what there is", sys.stderr)
        raise SystemExit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or the program's own; the exit status."""
    parser = _arguments()
    options = parser.parse_args(arguments)
    if options.command is None:
        say(parser.format_help().rstrip())
        return 0
    try:
        options.run(options)
    except BrokenPipeError:  # whoever read our lines has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (GraphwrightError, OSError) as error:
        say(f"graphwright {options.command}: {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("\nstopped", sys.stderr)
        return 130
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="graphwright",
        description="Build a model as a graph, compile it, draw it, run it.",
        epilog="graphwright COMMAND --help says more of a command.",
    )
    version = importlib.metadata.version("graphwright")
    parser.add_argument("--version", action="version", version=f"graphwright {version}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _demo_arguments(
        commands.add_parser(
            "demo",
            help="train a small network on real images, and draw it",
            description="Train a small network on real images: built as a graph, compiled, drawn.",
        )
    )
    _cache_arguments(
        commands.add_parser(
            "cache",
            help="show or clear the native code kept on disk",
            description="Show where native code is kept on disk and how much, or clear it.",
        )
    )
    return parser


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_demo)
    parser.add_argument(
        "--data",
        choices=demo.TASKS,
        default="digits",
        help="digits (default): 1,797 handwritten digits of 8x8 pixels, which come with "
        "Graphwright; fashion-mnist: 70,000 pictures of clothes of 28x28 pixels",
    )
    parser.add_argument(
        "--path",
        type=Path,
        metavar="DIR",
        help="where the four files of fashion-mnist are, if not where Debian's package "
        "dataset-fashion-mnist puts them",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("graphwright-demo"),
        metavar="DIR",
        help="where the diagrams go (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=_number(1),
        metavar="N",
        help="how often to go through the training images (default: enough)",
    )
    parser.add_argument(
        "--seed",
        type=_number(0),
        default=0,
        metavar="N",
        help="another number, another start and order (default: %(default)s)",
    )


def _demo(options: argparse.Namespace) -> None:
    demo.run(
        data=options.data,
        path=options.path,
        out=options.out,
        epochs=options.epochs,
        seed=options.seed,
    )


def _cache_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_cache)
    parser.add_argument(
        "action",
        nargs="?",
        choices=["show", "clear"],
        default="show",
        help="show (default): directory, entries, size, and the CPU that code is made for; "
        "clear: remove the entries",
    )


def _cache(options: argparse.Namespace) -> None:
    cache = DiskCache.current()
    if options.action == "clear":
        count = cache.clear()
        if cache.directory is None:
            say(f"nothing to remove: {cache.trouble}")
            return
        say(f"{count} {'entry' if count == 1 else 'entries'} removed from {cache.directory}")
        return
    sizes = [status.st_size for status in cache.entries().values()]
    if cache.directory is not None:
        say(f"directory  {cache.directory}")
        say(f"entries    {len(sizes)}")
        say(f"size       {sum(sizes) / 1e6:.1f} MB of at most {cache.limit / 1e6:.0f} MB")
    if cache.trouble:
        say(f"not used   {cache.trouble}")
    say(f"code for   {Target.host().describe()}")


class _number:
    """The type of an argument that is a whole number from `lowest`."""

    def __init__(self, lowest: int) -> None:
        self.lowest = lowest

    def __call__(self, text: str) -> int:
        if not text.isdecimal() or int(text) < self.lowest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {self.lowest}")
        return int(text)
