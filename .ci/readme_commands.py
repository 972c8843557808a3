"""Prints the commands of a README's `## Set up` section: its one shell block must hold exactly two lines."""

import re
import sys
from pathlib import Path

text = Path(sys.argv[1]).read_text(encoding="utf-8")
section = re.search(r"^## Set up$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
if not section:
    sys.exit("README.md has no section `## Set up`")
blocks = re.findall(r"^```(?:bash|sh|shell|console)\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
if len(blocks) != 1 or len(blocks[0].splitlines()) != 2:
    sys.exit("README.md's `## Set up` must have one shell block of exactly two lines")
print(blocks[0], end="")
