"""The binary difference by xdelta3's own library: `with_xdelta3.py run|decode BASE FILE OUT`."""

import sys

import pyxdelta


def main() -> None:
    what, base, file, out = sys.argv[1:]
    if what == "run":
        done = pyxdelta.run(infile=base, outfile=file, patchfile=out)
    else:
        done = pyxdelta.decode(infile=base, patchfile=file, outfile=out)
    sys.exit(not done)


if __name__ == "__main__":
    main()
