from funnel.cli.storage.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_tells_files_bytes_rate_and_time_left() -> None:
    clock = Clock()
    progress = Progress(4, 4 << 20, clock)
    assert progress.line() == f"[{'':20}]   0%  0 of 4 files  0 B of 4.0 MiB  0 B/s"
    clock.now = 2.0
    progress.moved(1 << 20)
    progress.file_done()
    bar = "=" * 5
    assert progress.line() == (
        f"[{bar:20}]  25%  1 of 4 files  1.0 MiB of 4.0 MiB  512.0 KiB/s  0:06 left"
    )


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    progress = Progress(1, 1 << 30, clock)
    progress.moved(512 << 20)
    for clock.now in range(1, 60):
        progress.line()
    assert "  0 B/s" in progress.line()
    progress.moved(20 << 20)
    assert "  2.0 MiB/s  4:06 left" in progress.line()


def test_what_is_sent_twice_is_no_more_than_all() -> None:
    progress = Progress(1, 1000, Clock())
    progress.moved(1500)
    assert "100%  0 of 1 files  1000 B of 1000 B" in progress.line()


def test_without_a_size_there_is_no_end() -> None:
    clock = Clock()
    progress = Progress(2, -1, clock)
    clock.now = 1.0
    progress.moved(2048)
    assert progress.line() == "0 of 2 files  2.0 KiB  2.0 KiB/s"


def test_empty_files_count_by_their_number() -> None:
    progress = Progress(2, 0, Clock())
    progress.file_done()
    assert progress.line().startswith(f"[{'=' * 10:20}]  50%  1 of 2 files")


def test_failures_are_counted() -> None:
    progress = Progress(2, -1, Clock())
    progress.file_failed()
    assert progress.line().startswith("0 of 2 files, 1 failed  ")
