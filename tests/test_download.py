"""Files arrive whole and unaltered or not at all, and errors say what to do."""

import gc
import gzip
import hashlib
import io
import os
import re
import socket
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
import pytest
from site_browser import Host, served

from lessons_lib.corpora import sources
from lessons_lib.corpora.sources import CorpusAltered, CorpusUnavailable, fetch

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

GOOD = bytes(range(251)) * 8_003  # two megabytes: several pieces, and a progress bar
BAD = GOOD.replace(b"\x07", b"\x08")
GOOD_DIGEST, BAD_DIGEST = (hashlib.sha256(content).hexdigest() for content in (GOOD, BAD))
NAME = "tiny/a.txt"


class Handler(Host):
    """Answers as ``mode`` says, and counts the questions."""

    mode, asked, over = "good", 0, threading.Event()

    def do_GET(self) -> None:  # noqa: N802
        type(self).asked += 1
        if self.mode == "silent":
            self.over.wait()
            return
        body = {"altered": BAD, "missing": b""}.get(self.mode, GOOD)
        self.send_response(404 if self.mode == "missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:1_003] if self.mode == "truncated" else body)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Here and at home: a table with one file that no server has, an empty cache, no data."""
    with socket.socket() as closed:  # bound and not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1/"
        table = {"address": address, "directory": "tiny", "files": {"a.txt": GOOD_DIGEST}}
        monkeypatch.setattr(sources, "CORPORA", {"tiny": table})
        monkeypatch.delenv("LESSONS_DATA", raising=False)
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
        for home in ("HOME", "USERPROFILE"):
            monkeypatch.setenv(home, str(tmp_path))
        monkeypatch.chdir(tmp_path)
        yield tmp_path


@pytest.fixture
def server(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Handler]]:
    """A local server that has the file of the table."""
    Handler.mode, Handler.asked = "good", 0
    Handler.over.clear()
    gc.freeze()
    with served(place, Handler) as address:
        monkeypatch.setitem(sources.CORPORA["tiny"], "address", f"{address}/v1/")
        yield Handler
        Handler.over.set()
        gc.collect()  # pooch leaves it to the collector to close a connection
        gc.unfreeze()


def put(content: bytes, directory: Path) -> Path:
    path = directory / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def files(directory: Path) -> list[str]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(directory)) for path in found)


def test_a_file_is_downloaded_once_and_then_taken_from_the_cache(
    server: type[Handler], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(GOOD[:-1], place / "cache")  # a damaged copy: replaced by a good one
    for _ in range(2):
        assert fetch(NAME) == path
        assert path.read_bytes() == GOOD
    assert server.asked == 1
    assert files(place) == ["cache/tiny/a.txt"]
    assert capsys.readouterr() == ("", "")  # a progress bar is for terminals


def test_an_altered_file_in_lessons_data_is_an_error_and_stays_as_it_is(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(GOOD, place / "cache")
    mine = put(BAD, place / "mine")
    monkeypatch.setenv("LESSONS_DATA", str(place / "mine"))
    with pytest.raises(CorpusAltered) as caught:
        fetch(NAME)
    address = f"{sources.CORPORA['tiny']['address']}a.txt"
    for part in (str(mine), GOOD_DIGEST, BAD_DIGEST, "Nothing was changed", address):
        assert part in str(caught.value)
    assert mine.read_bytes() == BAD


def test_a_file_that_lessons_data_lacks_is_taken_from_elsewhere(
    server: type[Handler], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LESSONS_DATA", "~/mine")
    (place / "mine").mkdir()
    assert fetch(NAME).read_bytes() == GOOD
    server.mode = "missing"
    (place / "cache" / NAME).unlink()
    with pytest.raises(CorpusUnavailable) as caught:
        fetch(NAME)
    assert f"not in {place / 'mine'}, the directory that LESSONS_DATA" in caught.value.reason


@pytest.mark.parametrize("name", ["gone", "file", "~nobody-has-this-name/x", "gone also"])
def test_lessons_data_that_is_no_directory_stops_at_once(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    put(GOOD, place / "cache")
    (place / "file").touch()
    monkeypatch.setenv("LESSONS_DATA", name)
    with pytest.raises(NotADirectoryError, match=rf"directory, found none in '.*{name}'"):
        fetch(NAME)


def test_the_cache_is_where_the_reader_or_the_system_wants_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(GOOD, place / "cache")
    monkeypatch.setenv("LESSONS_DATA", " ")
    assert fetch(NAME) == path
    monkeypatch.setenv("LESSONS_CACHE", "~/named")
    assert sources.cache_directory() == place / "named"
    monkeypatch.setenv("LESSONS_CACHE", " ")
    assert sources.cache_directory() == Path(platformdirs.user_cache_dir("lessons_lib"))


@pytest.mark.parametrize(
    ("named", "message"),
    [("", "determine.* home.*; name "), ("file/cache", "cannot be written ")],
)
def test_a_cache_that_cannot_be_says_how_to_name_another(
    place: Path, monkeypatch: pytest.MonkeyPatch, named: str, message: str
) -> None:
    (place / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("LESSONS_CACHE", named)
    monkeypatch.setattr(os.path, "expanduser", str)  # as it is where there is no home
    with pytest.raises(CorpusUnavailable, match=f"{message}.*LESSONS_CACHE"):
        fetch(NAME)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("truncated", r"did not come whole and unaltered .*Incomplete"),
        ("altered", f"did not come whole and unaltered .*{GOOD_DIGEST} but got {BAD_DIGEST}"),
        ("missing", "404 Client Error: Not Found for url: http://127.0.0.1"),
        ("silent", "cannot be reached"),
    ],
)
def test_a_bad_download_is_thrown_away_and_both_remedies_are_named(
    mode: str, reason: str, server: type[Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "TIMEOUT", 0.2 if mode == "silent" else 5)
    server.mode, cache = mode, sources.cache_directory()
    path = put(BAD[:-7], cache)
    with pytest.raises(CorpusUnavailable) as caught:
        fetch(NAME)
    assert re.search(rf"{NAME} could not be downloaded: .*{reason}", caught.value.reason)
    for part in (
        caught.value.reason,
        "LESSONS_DATA to a directory that has tiny/a.txt",
        f"taken from {sources.CORPORA['tiny']['address']}a.txt",
        "connect to the network and run this again",
        str(cache),
    ):
        assert part in str(caught.value)
    assert files(cache) == [NAME]
    assert path.read_bytes() == BAD[:-7], "it never takes the place of what is there"


@pytest.mark.usefixtures("place")
def test_a_server_that_refuses_is_named() -> None:
    with pytest.raises(CorpusUnavailable, match=r"127\.0\.0\.1:\d+ cannot be reached \([^<>]+\)"):
        fetch(NAME)


def test_many_at_once_do_no_harm(server: type[Handler], place: Path) -> None:
    with ThreadPoolExecutor(7) as pool:
        contents = list(pool.map(lambda _: fetch(NAME).read_bytes(), range(7)))
    assert contents == [GOOD] * 7
    assert files(place) == ["cache/tiny/a.txt"]


def test_reviews_are_made_from_the_published_archive_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, review in {
            "train/pos/0_9.txt": "Good \n\tfun",
            "train/neg/10_1.txt": "ten",
            "train/neg/2_4.txt": " two  é ",
            "train/unsup/1_0.txt": "nobody's",
        }.items():
            member = tarfile.TarInfo(f"aclImdb/{name}")
            member.size = len(review.encode())
            archive.addfile(member, io.BytesIO(review.encode()))
    rows = "neg\ttwo é\nneg\tten\npos\tGood fun\n"  # negative first, then by number
    digest = hashlib.sha256(rows.encode()).hexdigest()
    monkeypatch.setitem(sources.CORPORA["imdb"], "files", {"train.tsv.gz": digest})
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path))
    monkeypatch.delenv("LESSONS_DATA", raising=False)
    asked: list[tuple[str, str]] = []

    def send(address: str, digest: str, destination: Path) -> None:
        asked.append((address, digest))
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(packed.getvalue())

    monkeypatch.setattr(sources, "download", send)
    for _ in range(2):
        assert gzip.decompress(fetch("imdb/train.tsv.gz").read_bytes()).decode() == rows
    address = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
    assert asked == [(address, "md5:7c2ac02c03563afcf9b574c7e56c153a")]


def test_every_corpus_is_pinned_and_has_terms() -> None:
    for name, corpus in sources.CORPORA.items():
        pinned = r"^https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/.*/?$"
        assert "archive" in corpus or re.search(pinned, corpus["address"])
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in corpus["files"].values())
        assert sources.terms(name) == f"{corpus['citation']}. Terms: {corpus['terms']}."
        assert not any("/" in file for file in corpus["files"])  # tools/website.py looks no deeper
        assert "/" not in corpus["directory"]
    assert "non-commercial" in sources.terms("multi30k")
    assert "BY-SA 3.0" in sources.terms("en-de")
