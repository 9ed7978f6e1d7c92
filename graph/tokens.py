"""The tokens of the printed language, one after another, and errors that say where they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from graphwright.graph.errors import GraphwrightError, ParseError

_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)
      | (?P<value>%\d+)
      | (?P<name>[A-Za-z_](?:[\w./-]|:(?=[\w./-]))*)
      | (?P<mark>[(){}\[\],:=*+-])""",
    re.VERBOSE | re.ASCII,
)
_DEEPEST = 80


class Tokens:
    """A position in a text, and the token that stands there.

    kind:  `string`, `number`, `value` (`%3`), `name`, `mark`, or `end`
    token: its text; empty at the end
    start: where it starts
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.kind = self.token = ""
        self.start = 0
        self.advance()

    def advance(self) -> str:
        """Step to the next token; the one stepped over."""
        stepped_over = self.token
        while True:
            self.start = self.position
            if self.position == len(self.text):
                self.kind, self.token = "end", ""
                return stepped_over
            match = _TOKEN.match(self.text, self.position)
            if match is None:
                if self.text[self.position] == "…":
                    self.fail("a constant was left out when this text was printed (elide=True)")
                self.fail(f"unexpected character {self.text[self.position]!r}")
            self.position = match.end()
            if match.lastgroup != "space":
                self.kind, self.token = str(match.lastgroup), match.group()
                return stepped_over

    def followed_by(self, mark: str) -> bool:
        """True when `mark` is the next token after this one."""
        space = _TOKEN.match(self.text, self.position)
        end = space.end() if space is not None and space.lastgroup == "space" else self.position
        return self.text.startswith(mark, end)

    def at(self, *tokens: str) -> bool:
        """True when this token is a mark or a name, one of `tokens`."""
        return self.kind in ("mark", "name") and self.token in tokens

    def skip(self, token: str) -> bool:
        """Step over `token` if it is here; True when it was."""
        if self.at(token):
            self.advance()
            return True
        return False

    def expect(self, token: str, hint: str | None = None) -> None:
        """Step over `token`, or fail."""
        if not self.skip(token):
            self.fail(f"expected {token!r}, found {self.found()}", hint=hint)

    def expect_kind(self, kind: str, what: str) -> str:
        """Step over a token of `kind`, which errors call `what`; its text."""
        if self.kind != kind:
            self.fail(f"expected {what}, found {self.found()}")
        return self.advance()

    def expect_end(self) -> None:
        """Fail unless the text ends here."""
        if self.kind != "end":
            self.fail(f"expected the end of the text, found {self.found()}")

    def found(self) -> str:
        """What errors say that is here."""
        return repr(self.token) if self.kind != "end" else "the end of the text"

    def fail(self, what: str, start: int | None = None, hint: str | None = None) -> NoReturn:
        """Raise a ParseError for what is at `start`, or here."""
        start = self.start if start is None else start
        line = self.text.count("\n", 0, start) + 1
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        shown = self.text.split("\n")[line - 1].strip()
        raise ParseError(
            f"line {line}, column {column}: {what}",
            details=[("line", shown)] if shown else (),
            hint=hint,
        ) from None

    @contextmanager
    def refusing(self, at: int) -> Iterator[None]:
        """Turn every error that is raised within into a ParseError at `at`."""
        try:
            yield
        except ParseError:
            raise
        except GraphwrightError as error:
            self.fail(error.what, at, error.hint)
        except Exception as error:
            # Operators, a user's own among them, may trip in any way over what nobody would write.
            self.fail(f"{type(error).__name__}: {error}", at)

    def nest(self) -> None:
        """Go one level deeper; fail when that is too deep."""
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail(f"nested more than {_DEEPEST} deep")
