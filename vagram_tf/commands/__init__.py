"""The programs; where none of them can work, they say so in one line."""

import sys

if sys.platform == "win32":
    print("error: the programs need Linux or macOS; on Windows, run them in WSL2", file=sys.stderr)
    sys.exit(2)
