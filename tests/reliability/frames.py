"""Reports of Valgrind and LeakSanitizer in whose stack one of our extension modules stands.

    python -m tests.reliability.frames REPORT [PART_OF_PATH]

REPORT is Valgrind's XML or LeakSanitizer's text; a frame is ours when the path of its object or source has
PART_OF_PATH in it. Prints how many reports there are and each of ours; ends with 1 if there is one.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

OURS = "fastembed/_native/"
_PARTS = ("fn", "dir", "file", "line", "obj")  # of a frame in Valgrind's XML


def reports(text: str) -> list[str]:
    """The reports, each with a line for every frame that names its object and source."""
    if not text.lstrip().startswith("<?xml"):
        found = re.split(r"(?m)^(?=(?:Direct|Indirect) leak of )", text)[1:]
        return [report.partition("\n\n")[0] for report in found]
    found = []
    for error in ET.fromstring(text).iter("error"):
        kind = error.findtext("kind") or ""
        if not kind.startswith("Leak"):  # LeakSanitizer tells of those; Valgrind calls whatever a module keeps one
            frames = [" ".join(filter(None, map(frame.findtext, _PARTS))) for frame in error.iter("frame")]
            found.append("\n    ".join([f"{kind}: {error.findtext('what') or error.findtext('xwhat/text')}", *frames]))
    return found


def main(path: str, ours: str = OURS) -> int:
    """Print what was found."""
    found = reports(Path(path).read_text(encoding="utf-8", errors="replace"))
    named = [report for report in found if ours in report]
    print(f"{len(found)} reports, {len(named)} of them name {ours}", *named, sep="\n\n")
    return bool(named)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
