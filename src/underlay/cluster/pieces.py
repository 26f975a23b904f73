"""Python on a node, with its memory handed out in pieces and not page by page.

On a node of User Mode Linux each page is three turns of ptrace, half of all that the start of a
program takes there. The image's own library (image/preload/pieces.c) asks for them together, before
Python begins.
"""

PIECES = "/usr/libexec/underlay/pieces.so"
# Before a program's own words; where the library isn't, the program starts without.
IN_PIECES = ("sh", "-c", f'[ ! -e {PIECES} ] || export LD_PRELOAD={PIECES}; exec "$@"', "sh")
