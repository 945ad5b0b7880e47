"""Where the real corpora come from: pinned addresses, terms of use, and verified copies.

``fetch`` hands out the path of a file that is verified by its checksum, and never anything else. It
looks into the directory named by the environment variable ``LESSONS_DATA``, then into a cache, and
then downloads. A download becomes visible under its name only when it is complete and verified.
"""

import gzip
import hashlib
import os
import re
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests

TIMEOUT = 10.0
"""Seconds to wait for a connection, and for each further piece of a download."""


class CorpusUnavailable(RuntimeError):  # noqa: N818 (it is a state, like a missing book)
    """A corpus is neither here nor to be had; says why, and names both remedies."""

    @property
    def reason(self) -> str:
        """Why, in one line: how the message begins."""
        return str(self).partition(".\n")[0]


class CorpusAltered(RuntimeError):  # noqa: N818
    """A file that the reader keeps in ``LESSONS_DATA`` is not the pinned one."""


# The corpora as they are published, each pinned to one version; the file says what is what.
_FILE = Path(__file__).with_suffix(".toml")
CORPORA: dict[str, dict[str, Any]] = tomllib.loads(_FILE.read_text("utf-8"))


def choose(what: str, value: str, choices: Iterable[str]) -> None:
    """Refuse, with a ``ValueError`` that lists the choices, what is none of them."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"expected as {what} one of {', '.join(choices)}; found {value!r}")


def choose_languages(source: str, target: str, languages: Iterable[str]) -> None:
    """Refuse, as ``choose``, a language that is not there, and twice the same."""
    choose("source", source, languages)
    choose("target", target, [language for language in languages if language != source])


def terms(name: str) -> str:
    """Who made a corpus (one of ``CORPORA``) and under which terms it may be used, in one line."""
    choose("name", name, CORPORA)
    return f"{CORPORA[name]['citation']}. Terms: {CORPORA[name]['terms']}."


def cache_directory() -> Path:
    """``LESSONS_CACHE`` if set, else the system's for caches; an ``OSError`` without a home."""
    named = os.environ.get("LESSONS_CACHE", "")
    try:
        path = Path(named) if named.strip() else Path(pooch.os_cache("lessons_lib"))
        return path.expanduser()  # without a home, the system's may begin with ~, too
    except RuntimeError as error:
        reason = str(error).removesuffix(".")
        raise OSError(f"{reason}; name a directory for the cache in LESSONS_CACHE") from None


def make_writable(directory: Path) -> None:
    """Make a directory; an ``OSError`` before any work is done if it takes no file."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise OSError(
            f"{directory} cannot be written ({error}); name another directory, in the environment "
            "variable LESSONS_CACHE if this is the cache"
        ) from error


def fetch(relative_path: str) -> Path:
    """The path of a verified copy of one pinned file, as ``"multi30k/train.de.gz"``.

    A ``NotADirectoryError`` if ``LESSONS_DATA`` names no directory; ``CorpusAltered`` if the file
    there has another SHA-256; ``CorpusUnavailable`` if it is nowhere here, and could not be
    downloaded whole and unaltered.
    """
    pinned = {f"{c['directory']}/{n}": (c, n) for c in CORPORA.values() for n in c["files"]}
    corpus, name = pinned[relative_path]
    digest, archive = corpus["files"][name], corpus.get("archive")
    address = corpus["address"] + (archive[0] if archive else name)
    named = os.environ.get("LESSONS_DATA", "").strip()
    data = Path(os.path.expanduser(named))  # noqa: PTH111 (this one raises nothing)
    if named and not data.is_dir():  # nothing else may stand in for it unnoticed
        raise NotADirectoryError(
            f"LESSONS_DATA: expected a directory, found none in {str(data.absolute())!r}; name the "
            "directory of the corpora, or unset it to have them downloaded"
        )
    mine = data / relative_path
    if named and mine.is_file():
        found = _digest_inside(mine) if archive else pooch.file_hash(mine)
        if found != digest:
            raise CorpusAltered(
                f"{mine} is not the file that this course was written for: expected SHA-256 "
                f"{digest}, found {found}. Nothing was changed. Replace it by the file from "
                f"{address}, or unset LESSONS_DATA to have it downloaded."
            )
        return mine

    cached: Path | None = None
    try:
        cached = cache_directory() / relative_path
        if not archive:
            download(address, digest, cached)
        elif not (cached.is_file() and _digest_inside(cached) == digest):
            packed = cached.with_name(archive[0])
            download(address, archive[1], packed)
            _make_reviews(packed, cached)
    except OSError as error:
        lacking = f" (and it is not in {data}, the directory that LESSONS_DATA names)"
        raise CorpusUnavailable(
            f"{relative_path} could not be downloaded: {error}{lacking if named else ''}.\n"
            "Two remedies:\n"
            "- set the environment variable LESSONS_DATA to a directory that has "
            f"{relative_path} in it, taken from {address}\n"
            "- or connect to the network and run this again: the file is then downloaded "
            f"and kept in {cached.parent if cached else 'the cache'} (LESSONS_CACHE names another "
            "place)."
        ) from error
    return cached


def _digest_inside(path: Path) -> str:
    """SHA-256 of what a gzipped file has in it: the packed bytes depend on who packed them."""
    return hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()


def _make_reviews(archive: Path, destination: Path) -> None:
    """One part of the film reviews: label, tab, review on one line; negative first, by number."""
    part = destination.name.partition(".")[0]
    rows: list[tuple[str, int, str]] = []
    with tarfile.open(archive) as files:
        for member in files:
            name = re.fullmatch(rf"aclImdb/{part}/(neg|pos)/(\d+)_\d+\.txt", member.name)
            if name and (file := files.extractfile(member)):
                review = " ".join(file.read().decode("utf-8").split())
                rows.append((name[1], int(name[2]), review))
    text = "".join(f"{label}\t{review}\n" for label, _, review in sorted(rows))
    with pooch.utils.temporary_file(path=destination.parent) as made:
        Path(made).write_bytes(gzip.compress(text.encode(), mtime=0))
        Path(made).replace(destination)


def download(address: str, checksum: str, destination: Path) -> None:
    """Download one file if it is not there, verify it, and put it in its place in one step.

    Several processes may do this at once. ``checksum`` is SHA-256, or as in ``md5:...``. The
    message of an ``OSError`` says whether it is unreachable, truncated or altered.
    """
    pooch.get_logger().setLevel("WARNING")
    ask = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=1 << 16, timeout=TIMEOUT)
    try:
        pooch.retrieve(address, checksum, destination.name, destination.parent, downloader=ask)
    except (requests.ConnectionError, requests.Timeout) as error:
        why = str(getattr(error.args[0], "reason", error)).rpartition(": ")[2]
        raise OSError(f"{urlsplit(address).netloc} cannot be reached ({why})") from error
    except (requests.RequestException, ValueError) as error:
        raise OSError(f"{address} did not come whole and unaltered ({error})") from error
    except OSError as error:
        # On Windows a file that somebody reads cannot be replaced, not even by itself.
        if not (destination.is_file() and pooch.hashes.hash_matches(str(destination), checksum)):
            raise OSError(
                f"the cache {destination.parent} cannot be written ({error}); name another "
                "directory in the environment variable LESSONS_CACHE"
            ) from error
