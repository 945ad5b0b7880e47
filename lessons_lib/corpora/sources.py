"""Where the real corpora come from: pinned addresses, terms of use, and verified copies.

``fetch`` hands out the path of a file whose SHA-256 is the pinned one, and never anything else. It
looks into the directory named by the environment variable ``LESSONS_DATA``, then into a cache, and
then downloads. A download becomes visible under its name only when it is complete and verified.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import tarfile
import tempfile
import time
import tomllib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from tqdm import tqdm

TIMEOUT = 10.0
"""Seconds to wait for a connection, and for each further piece of a download."""
RETRY_AFTER = 60.0
"""Seconds for which a server that could not be reached is not asked again."""
_unreachable: dict[str, tuple[float, str]] = {}
"""Server: when it could not be reached, and why. Otherwise each file would wait for it anew."""


class CorpusUnavailable(RuntimeError):  # noqa: N818 (it is a state, like a missing book)
    """A corpus is neither here nor to be had; the message names both remedies.

    Attributes:
        reason: in one line, why.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class CorpusAltered(RuntimeError):  # noqa: N818
    """A file that the reader keeps in ``LESSONS_DATA`` is not the pinned one."""


@dataclass(frozen=True)
class RemoteCorpus:
    """A corpus as it is published, pinned to one version.

    Attributes:
        address: where its files lie, without the file name; it contains a commit.
        directory: where they lie in ``LESSONS_DATA`` and in the cache.
        files: file name and SHA-256; of what is in them where they are made here.
        terms: the terms of use as stated by its publisher.
        citation: who made it.
        archive: what its gzipped files are made from: name, and checksum as published.
    """

    address: str
    directory: str
    files: dict[str, str]
    terms: str
    citation: str
    archive: Sequence[str] | None = None


_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
CORPORA = {name: RemoteCorpus(**entry) for name, entry in _TABLE.items()}


def terms(name: str) -> str:
    """Who made a corpus and under which terms it may be used, in one line for people.

    Raises:
        ValueError: no such corpus.
    """
    if name not in CORPORA:
        raise ValueError(f"expected one of {', '.join(sorted(CORPORA))}; found {name!r}")
    return f"{CORPORA[name].citation}. Terms: {CORPORA[name].terms}."


def cache_directory() -> Path:
    """``LESSONS_CACHE`` if set, else the directory that the operating system means for caches.

    Raises:
        OSError: there is no home directory to have it in.
    """
    named = os.environ.get("LESSONS_CACHE", "")
    try:
        path = Path(named) if named.strip() else Path(pooch.os_cache("lessons_lib"))
        return path.expanduser()  # without a home, the system's may begin with ~, too
    except RuntimeError as error:
        reason = str(error).removesuffix(".")
        raise OSError(f"{reason}; name a directory for the cache in LESSONS_CACHE") from None


def make_writable(directory: Path) -> None:
    """Make a directory, and say before any work is done that nothing can be written there.

    Raises:
        OSError: it cannot be made, or takes no file.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise OSError(
            f"{directory} cannot be written ({error}); name another directory, in the environment "
            "variable LESSONS_CACHE if this is the cache"
        ) from error


def data_directory() -> Path | None:
    """The directory that ``LESSONS_DATA`` names, or ``None`` where it is unset or blank.

    Raises:
        NotADirectoryError: it names no directory; nothing else may stand in for it unnoticed.
    """
    named = os.environ.get("LESSONS_DATA", "")
    if not named.strip():
        return None
    path = Path(os.path.expanduser(named))  # noqa: PTH111 (this one raises nothing)
    if not path.is_dir():
        raise NotADirectoryError(
            f"LESSONS_DATA: expected a directory, found none in {str(path.absolute())!r}; name the "
            "directory of the corpora, or unset it to have them downloaded"
        )
    return path


def fetch(relative_path: str) -> Path:
    """The path of a verified copy of one pinned file, downloaded if need be.

    Args:
        relative_path: directory and file name, as in ``"multi30k/train.de.gz"``.

    Raises:
        ValueError: not one of the pinned files.
        NotADirectoryError: ``LESSONS_DATA`` names no directory.
        CorpusAltered: the file in ``LESSONS_DATA`` has another SHA-256; nothing is changed.
        CorpusUnavailable: it is nowhere here, and it could not be downloaded whole and unaltered.
    """
    pinned = {
        f"{corpus.directory}/{name}": (corpus, digest)
        for corpus in CORPORA.values()
        for name, digest in corpus.files.items()
    }
    if relative_path not in pinned:
        raise ValueError(f"expected one of {', '.join(sorted(pinned))}; found {relative_path!r}")
    corpus, digest = pinned[relative_path]
    address = corpus.address + (corpus.archive or (Path(relative_path).name,))[0]
    digest_of = _digest_inside if corpus.archive else _digest

    data = data_directory()
    if data and (mine := data / relative_path).is_file():
        found = digest_of(mine)
        if found != digest:
            raise CorpusAltered(
                f"{mine} is not the file that this course was written for.\n"
                f"Expected SHA-256 {digest},\nfound    SHA-256 {found}.\n"
                f"Nothing was changed. Replace it by the file from {address}, or unset "
                "LESSONS_DATA to have it downloaded."
            )
        return mine

    cached: Path | None = None
    try:
        cached = cache_directory() / relative_path
        if cached.is_file() and digest_of(cached) == digest:
            return cached
        if corpus.archive:
            archive = cached.with_name(corpus.archive[0])
            if not _is(archive, corpus.archive[1]):
                download(address, corpus.archive[1], archive)
            _make_reviews(archive, cached, digest)
        else:
            download(address, digest, cached)
    except OSError as error:
        reason = f"{relative_path} could not be downloaded: {error}"
        if data:
            reason += f" (and it is not in {data}, the directory that LESSONS_DATA names)"
        if cached and cached.is_file():
            reason += f" (the copy in the cache, {cached}, is damaged and was left as it is)"
        where = "which is not set now" if not data else f"now {data}, which has no such file"
        raise CorpusUnavailable(
            f"{reason}.\nTwo remedies:\n"
            f"- set the environment variable LESSONS_DATA ({where}) to a directory that has "
            f"{relative_path} in it, taken from {address}\n"
            f"- or connect to the network and run this again: the file is then downloaded "
            f"and kept in {cached.parent if cached else 'the cache'}.",
            reason,
        ) from error
    return cached


def _digest(path: Path) -> str:
    return str(pooch.file_hash(str(path)))


def _digest_inside(path: Path) -> str:
    """SHA-256 of what a gzipped file has in it: the packed bytes depend on who packed them."""
    try:
        return hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
    except (EOFError, OSError, zlib.error):
        return "none: it is no whole gzip file"


def _is(path: Path, checksum: str) -> bool:
    return path.is_file() and bool(pooch.hashes.hash_matches(str(path), checksum))


def _make_reviews(archive: Path, destination: Path, digest: str) -> None:
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
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != digest:
        raise OSError(
            f"the reviews in {archive} are not the expected ones: expected SHA-256 {digest}, "
            f"found {found} of {len(rows):,} reviews"
        )
    with pooch.utils.temporary_file(path=destination.parent) as made:
        Path(made).write_bytes(gzip.compress(text.encode(), mtime=0))
        Path(made).replace(destination)


def download(address: str, checksum: str, destination: Path) -> None:
    """Download one file, verify it, and only then put it in its place, in one step.

    What was at ``destination`` stays there unless the whole and unaltered file has arrived; no
    partial file is left behind. Several processes may do this at once: each writes its own
    temporary file, and all of them put the same bytes into place.

    Args:
        address: where it is.
        checksum: SHA-256, or another with its name before it, as in ``md5:...``.
        destination: where it is to be.

    Raises:
        OSError: unreachable, truncated, altered, or not to be written; the message says which.
    """
    host = urlsplit(address).netloc
    since, why = _unreachable.get(host, (0.0, ""))
    if why and time.monotonic() - since < RETRY_AFTER:
        raise OSError(why)
    make_writable(destination.parent)
    pooch.get_logger().setLevel("WARNING")
    try:
        # None: only in a terminal. The total is told later; without one a bar is no truth value.
        with tqdm(total=1, unit="B", unit_scale=True, disable=None, leave=False) as bar:
            ask = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=TIMEOUT)
            pooch.retrieve(address, checksum, destination.name, destination.parent, downloader=ask)
    except requests.HTTPError as error:
        raise OSError(f"the server answered {error}") from error
    except (requests.ConnectionError, requests.Timeout) as error:
        why = str(getattr(error.args[0], "reason", error)).rpartition(": ")[2]
        _unreachable[host] = time.monotonic(), f"{host} cannot be reached ({why})"
        raise OSError(_unreachable[host][1]) from error
    except requests.RequestException as error:
        raise OSError(
            f"the download of {address} broke off ({error}); what had come was thrown away"
        ) from error
    except ValueError as error:
        raise OSError(f"what {address} sent is not the pinned file ({error})") from error
    except OSError as error:
        # On Windows a file that somebody reads cannot be replaced, not even by itself.
        if not _is(destination, checksum):
            raise OSError(
                f"the cache {destination.parent} cannot be written ({error}); name another "
                "directory in the environment variable LESSONS_CACHE"
            ) from error
