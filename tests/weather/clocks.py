"""A wall clock that jumps, for one server alone."""

from pathlib import Path


class WallClock:
    """`file` holds by how much it is wrong; `flags` go before a command that shall see it."""

    def __init__(self, file: Path) -> None:
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self._file = file
        self.jump("+0")
        self.flags = [
            "env",
            f"LD_PRELOAD={library}",
            f"FAKETIME_TIMESTAMP_FILE={file}",
            "FAKETIME_NO_CACHE=1",
            # Nobody sets that clock, and the times of files are those of the kernel.
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            "NO_FAKE_STAT=1",
        ]

    def jump(self, to: str) -> None:
        """Be wrong by so much from now on, as in `-1h` or `+1y`."""
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{to}\n")
        whole.rename(self._file)
