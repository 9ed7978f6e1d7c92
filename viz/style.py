"""How meaning looks, for all emitters: colours and line styles by phase and role.

Phases differ in colour *and* in line style, so that they can be told apart in grey print and by
colour-blind readers. Their inks are Okabe and Ito's blue, vermilion and green
(https://jfly.uni-koeln.de/color/), darkened until thin lines and text in them read on white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphwright.viz.view import Phase, Vertex

TEXT = "#1F2933"
QUIET = "#66727F"
"""Details, types on edges, titles of boxes."""
SCOPE_INK = "#C3CBD4"
SCOPE_FILLS = ("#F7F9FB", "#EDF1F5")
"""Scopes are filled by depth, in turns."""
GROUP_INK = "#3E4C59"
GROUP_FILL = "#FFFFFF"
HELD_INK = "#7A5BA6"
HELD_FILLS = ("#F8F5FC", "#F1EBF8")
"""Branches, loops, and what they carry, by depth as scopes."""
FONT = "Helvetica,Arial,sans-serif"


@dataclass(frozen=True)
class Look:
    """ink: outlines and edges; line: their style; fill, text, quiet: inside, titles, details."""

    ink: str
    fill: str
    line: Literal["solid", "dashed", "dotted"] = "solid"
    text: str = TEXT
    quiet: str = QUIET


LOOKS: dict[Phase, Look] = {
    "forward": Look("#0B5A8A", "#E9F2F8"),
    "backward": Look("#B84A00", "#FDF0E6", "dashed"),
    "update": Look("#00785A", "#E6F5F0", "dotted"),
}
PARAMETER = Look("#8A6D1A", "#FFF8DC")
PORT = Look(HELD_INK, "#FFFFFF", quiet=HELD_INK)
CONSTANT = Look("#9AA5B1", "#F7F8FA")


def look(vertex: Vertex) -> Look:
    """The look of a vertex: terminals are dark; badges and ports are the same in all phases."""
    if vertex.role == "parameter":
        return PARAMETER
    if vertex.role == "constant":
        return CONSTANT
    if vertex.role == "port":
        return PORT
    phase = LOOKS[vertex.phase]
    if vertex.role in ("input", "output"):
        return Look(phase.ink, phase.ink, phase.line, "#FFFFFF", "#FFFFFF")
    return phase
