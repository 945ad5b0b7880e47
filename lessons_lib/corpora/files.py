"""A reader's own files: sentence pairs, or texts with a label each, one in each line.

A file is plain or gzipped, and UTF-8 unless another encoding is named; its lines end as on Unix, on
Windows or on an old Mac. What is no such text is called by its name and not read as something else.
"""

import codecs
import gzip
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_NO_TEXT = {
    rb"PK(\x03\x04|\x05\x06)": "a zip archive or an office document",
    rb"\x1f\x8b": "a gzip archive inside another",
    rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|(?s:.{257}ustar)": "a 7z, rar or tar archive",
    rb"\xfd7zXZ\x00|BZh[1-9]1AY&SY|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|\x1f\x9d": "a packed file",
    rb"%PDF-\d|\{\\rtf\d|\xd0\xcf\x11\xe0\xa1\xb1": "a PDF, RTF or old office document",
    rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|II\*\x00|MM\x00\*|RIFF....WEBP": "a picture",
    rb"SQLite format 3\x00|PAR1[\x00-\x1f]|ARROW1\x00|\x93NUMPY|\x89HDF\r\n": "a file of data",
    rb"\x80[\x02-\x05]": "a file of data",
}
"""The first bytes of what is no text, and its name."""


@dataclass(frozen=True)
class ParallelCorpus:
    """Sentence pairs as plain strings: ``target[i]`` is the translation of ``source[i]``.

    ``alignment`` has for each pair the gold ``(target word, source word)`` positions; ``None``:
    nobody knows. Languages are two-letter codes (ISO 639-1), ``name`` is for results and captions.
    """

    name: str
    source_language: str
    target_language: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    alignment: tuple[tuple[tuple[int, int], ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class LabelledCorpus:
    """Plain texts with one class each: a label is an index into ``classes``."""

    name: str
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


def _wide(raw: bytes) -> str:
    """The UTF-16 or UTF-32, as Python calls it, that bytes are in, marked or not; or ``""``."""
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    blanks = raw.count(b" ") + raw.count(b"\n")
    for name in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be") if b"\0" in raw else ():
        text = raw.decode(name, errors="replace")
        # In other bytes most of 0x20 and 0x0A would be parts of some rare letter.
        if "\ufffd" not in text and 0 < blanks <= 2 * len(re.findall("[ \n]", text)):
            return name
    return ""


def _decoded(path: Path, encoding: str) -> str:
    """The text of a file, plain or gzipped, if it is text and in this encoding."""
    raw = path.read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(
                f"{path}: expected a whole gzip file, found a damaged one ({error}); copy it again"
            ) from error
    codec, wide = codecs.lookup(encoding).name, _wide(raw)
    meant_wide = codec.startswith(("utf-16", "utf-32"))
    found = next((name for start, name in _NO_TEXT.items() if re.match(start, raw)), "")
    if not wide and not meant_wide and b"\0" in raw:
        found = found or "bytes 0, which no text has"
    if found:
        raise ValueError(
            f"{path}: expected a file of text, found {found}. Unpack it, or save what is in it as "
            "plain text (UTF-8), and read that"
        )
    if wide and not codec.startswith(wide) and f"{codec}-le" != wide:
        raise ValueError(f"{path}: expected {encoding}, found {wide}; say encoding={wide!r}")
    # As these nearly any bytes can be read; what can be read as UTF-8 is hardly ever one of them.
    western = codec in ("iso8859-1", "cp1252") and not raw.isascii()
    blind = western or (meant_wide and not wide and b"\0" not in raw)
    if blind and "\ufffd" not in raw.decode(errors="replace"):
        raise ValueError(f"{path}: expected {encoding}, found UTF-8; leave encoding out")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise ValueError(
            f"{path}, line {line}, byte {column}: expected text in {encoding}, found the byte "
            f"0x{raw[error.start]:02X}, which cannot stand there. Mend this line if the rest is "
            "right; else save the file as UTF-8, or say what it is in: encoding='cp1252' (Windows, "
            "western Europe), 'latin-1', 'cp1251' (Cyrillic), 'gb18030' (Chinese), 'shift_jis' "
            "(Japanese), ..."
        ) from error


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """The lines of a file of text, plain or gzipped, in NFC, without their ends.

    A ``ValueError`` if it is empty, damaged, no text or in another encoding.
    """
    # Marks of byte order also stand inside, where files were put together.
    text = unicodedata.normalize("NFC", _decoded(path, encoding).replace("\ufeff", ""))
    if not text.strip():
        raise ValueError(f"{path}: expected at least one line of text, found an empty file")
    # Not str.splitlines: it also breaks lines at characters such as U+0085 and U+2028.
    lines = re.split(r"\r*\n|\r", text)
    return lines if lines[-1] else lines[:-1]


def read_parallel(
    source_path: str | Path,
    target_path: str | Path,
    source: str = "src",
    target: str = "tgt",
    *,
    encoding: str = "utf-8",
) -> ParallelCorpus:
    """Two files whose lines are translations of each other, plain or gzipped.

    An empty line is an empty sentence. ``source`` and ``target`` name the languages, for people. A
    ``ValueError`` as ``read_lines``, or if the files have not as many lines.
    """
    one, other = Path(source_path), Path(target_path)
    lines, others = (tuple(read_lines(path, encoding)) for path in (one, other))
    if len(lines) != len(others):
        raise ValueError(
            f"expected as many lines in both files, found {len(lines)} in {one} and {len(others)} "
            f"in {other}. They must be translations line by line; nothing was cut off to make them "
            "equal. Look for the first line where they drift apart"
        )
    return ParallelCorpus(one.name, source, target, lines, others)


def read_labelled(
    path: str | Path, *, classes: Sequence[str] | None = None, encoding: str = "utf-8"
) -> LabelledCorpus:
    """A file with one text in each line, its label first; plain or gzipped.

    The label ends at the first tab or blank of the line, and the text is all that follows. Labels
    are integers, and any will do (0 and 1, -1 and 1, ...): they are sorted, and the ``classes`` of
    the corpus are what stands in the file. Where the file has words for labels, name them in
    ``classes``, in the order of their indices; they may have blanks inside. A ``ValueError`` as
    ``read_lines``, or if classes have no order, a line is blank, has no label as above or no text,
    or integers number the texts.
    """
    path = Path(path)
    different = {name for name in classes or () if isinstance(name, str) and name.strip()}
    if isinstance(classes, (str, set, frozenset)) or len(different) < len(classes or ()):
        raise ValueError(
            f"expected different words as classes, in their order, as ('ham', 'spam'), found "
            f"{classes!r}; leave classes out where the labels in the file are integers"
        )
    wanted = "an integer label (if they are words, name them: classes=('ham', 'spam'))"
    label = "[+-]?[0-9]+"
    if classes:
        classes = [unicodedata.normalize("NFC", name) for name in classes]
        wanted = f"one of the labels {', '.join(classes)}"
        label = "|".join(map(re.escape, sorted(classes, key=len, reverse=True)))
    found: list[str] = []
    texts: list[str] = []
    for number, line in enumerate(read_lines(path, encoding), start=1):
        if not line.strip():
            raise ValueError(f"{path}: line {number} is blank; each line has a label and a text")
        # A second label in fastText's notation would give the first one away.
        pattern = rf"[\t ]*({label})[\t ]\s*(?!__label__)(\S.*)"
        parts = re.fullmatch(pattern, line, flags=re.DOTALL)
        if parts is None:
            raise ValueError(
                f"{path}, line {number}: expected {wanted}, a tab or blank, and a text that begins "
                f"with no second label, found {line[:60]!r}"
            )
        found.append(parts[1] if classes else str(int(parts[1])))
        texts.append(parts[2].rstrip())
    names = tuple(classes or sorted(set(found), key=int))
    if not classes and len(texts) >= 20 and 2 * len(names) > len(texts):
        raise ValueError(
            f"{path}: expected a few labels with many texts each, found {len(names)} labels of "
            f"{len(texts)} texts. If they number the texts, take them out of the file"
        )
    return LabelledCorpus(path.name, tuple(texts), tuple(map(names.index, found)), names)
