"""A reader's own files are read as they are, or refused by the name of what they are."""

import codecs
import gzip
import lzma
import pickle
import re
import tarfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lessons_lib.corpora.files import read_labelled, read_parallel

TEXT = "1 Zwei weiße Hunde\n0 a clich\u00e9\n1 ok\n"
RAW = TEXT.encode()
File = Callable[..., Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    """Writes a file, packed if its name says so."""

    def write(content: str | bytes, name: str = "a") -> Path:
        raw = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)
        return path

    return write


TAR = tarfile.TarInfo("a.txt").tobuf() + RAW


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (TAR, "a 7z, rar or tar archive"),
        (gzip.compress(TAR, mtime=0), "a 7z, rar or tar archive"),
        (gzip.compress(gzip.compress(RAW, mtime=0), mtime=0), "a gzip archive inside another"),
        (b"PK\x03\x04\x14\0" + RAW, "a zip archive"),
        (lzma.compress(RAW), "a packed file"),
        (b"%PDF-1.7\n%abc\n", "a PDF, RTF or old"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a picture"),
        (pickle.dumps({"a": 1}), "a file of data"),
        (b"1 fine\n0 with\0zero\n", "bytes 0"),
    ],
)
def test_what_is_no_text_is_named_whatever_the_encoding(
    file: File, content: bytes, name: str, encoding: str
) -> None:
    with pytest.raises(ValueError, match=f"/a: .* found {name}") as caught:
        read_labelled(file(content), encoding=encoding)
    assert "latin-1" not in str(caught.value)


@pytest.mark.parametrize("text", [TEXT, "1 \u6211\u559c\u6b22\u72d7\n0 \u4e0a\u6d77\n1 \u4e00\n"])
@pytest.mark.parametrize("wide", ["UTF16_LE", "UTF16_BE", "UTF32_LE", "UTF32_BE"])
@pytest.mark.parametrize("marked", [True, False])
def test_utf_16_and_32_are_named_with_and_without_a_mark(
    file: File, text: str, wide: str, marked: bool
) -> None:
    encoding = f"utf-{wide[3:5]}-{wide[6:].lower()}"
    mark = getattr(codecs, f"BOM_{wide}") if marked else b""
    right = encoding[:6] if marked else encoding
    path = file(mark + text.encode(encoding))
    turned = encoding.replace("le", "BE").replace("be", "LE").lower()
    for wrong in ("utf-8", "latin-1", "cp1252", *([] if marked else [turned])):
        with pytest.raises(ValueError, match=f"found {right}; say encoding='{right}'"):
            read_labelled(path, encoding=wrong)
    expected = tuple(line[2:] for line in text.splitlines())
    assert read_labelled(path, encoding=right).texts == expected


def test_another_encoding_is_read_where_it_is_named(file: File) -> None:
    path = file("1 fine\n0 a clich\u00e9\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"/a, line 2, byte 10: .* the byte 0xE9.*encoding='cp12"):
        read_labelled(path)
    assert read_labelled(path, encoding="latin-1").texts == ("fine", "a cliché")
    assert read_parallel(path, path, encoding="latin-1").source[1] == "0 a cliché"
    for encoding in ("latin-1", "cp1252", "utf-16", "utf-32-be"):
        with pytest.raises(ValueError, match=f"{encoding}, found UTF-8; leave encoding out"):
            read_labelled(file(TEXT), encoding=encoding)


@pytest.mark.parametrize("raw", [
    b"1 a\r0 b\r1 c\r", b"1 a\r0 b\n1 c", b"1 a\r\n0 b\n1 c\r\n", b"1 a\r\r\n0 b\r\r\n1 c\r",
    b"1 a\n\xef\xbb\xbf0 b\n1 c\n", b"\xef\xbb\xbf1 a\n 0 b\n\t1\tc\n",
])  # fmt: skip
def test_lines_of_all_systems_are_read(file: File, raw: bytes) -> None:
    corpus = read_labelled(file(raw))
    assert (corpus.texts, corpus.labels) == (("a", "b", "c"), (1, 0, 1))


@pytest.mark.parametrize(
    "classes",
    [{"a", "b"}, frozenset("ab"), "a b", "a,b", [0, 1], (0.0, 1.0), ("a", ""), ("a", "b", "a")],
)
def test_classes_that_cannot_be_names_are_refused(file: File, classes: Any) -> None:
    message = rf"different words as classes, in their order, .*found {re.escape(repr(classes))}"
    with pytest.raises(ValueError, match=message):
        read_labelled(file("a see you\nb win now\n"), classes=classes)


def test_classes_in_any_ordered_form_and_with_blanks_inside(file: File) -> None:
    path = file("not spam\tsee you\nspam\twin now\nnot spam yes\n")
    forms: list[Any] = [("spam", "not spam"), ["spam", "not spam"], {"spam": 0, "not spam": 1}]
    for classes in forms:
        corpus = read_labelled(path, classes=classes)
        assert corpus.texts == ("see you", "win now", "yes")
        assert (corpus.labels, corpus.classes) == ((1, 0, 1), ("spam", "not spam"))
    with pytest.raises(ValueError, match=r"line 1: .*labels spam, ham, .*found 'not spam\\tsee"):
        read_labelled(path, classes=("spam", "ham"))
    composed, decomposed = "gr\u00fcn", unicodedata.normalize("NFD", "gr\u00fcn")
    path = file(f"{composed} a\n{decomposed} b\n")
    assert read_labelled(path, classes=(composed,)).labels == (0, 0)
    path = file("good good film\nbad no good\n")
    assert read_labelled(path, classes=("bad", "good")).texts == ("good film", "no good")


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_labelled_line_splits_at_the_first_tab_or_blank(file: File, ending: str) -> None:
    text = "3 three\tand\n-1\tminus one \n+3 again 5\n03 zero\r\n10 ten"
    corpus = read_labelled(file(text, f"a{ending}"))
    assert corpus.texts == ("three\tand", "minus one", "again 5", "zero", "ten")
    assert (corpus.classes, corpus.labels) == (("-1", "3", "10"), (1, 0, 1, 1, 2))
    assert (corpus.name, len(corpus)) == (f"a{ending}", 5)
    assert len(read_labelled(file("".join(f"{i % 11} a\n" for i in range(100)))).classes) == 11
    with pytest.raises(ValueError, match=r"found 11 labels of 20 texts.* number"):
        read_labelled(file("".join(f"{min(i, 10)} a\n" for i in range(20))))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("spam win", r"line 2: expected an integer label .*classes=.*found 'spam win'"),
        ("1.0 x", r"line 2: expected an integer label .*found '1\.0 x'"),
        ("", "line 2 is blank"),
        ("1 \t", r"line 2: expected .* and a text .*found '1 \\t'"),
        ("1 __label__a two", "line 2: expected .* and a text .*found '1 __label__a"),
        ("1", r"line 2: expected .* and a text .*found '1'"),
    ],
)
def test_a_line_that_cannot_be_read_is_shown(file: File, second: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_labelled(file(f"0 fine\n{second}\n1 fine\n"))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_read_parallel_plain_and_gzipped(file: File, ending: str) -> None:
    source = file("Grüße\n\nZwei\u0085 Hunde\r\n", f"a.de{ending}")
    target = file(b"\xef\xbb\xbfGreetings\nempty\nTwo dogs", f"a.en{ending}")
    corpus = read_parallel(source, str(target), "de", "en")
    assert corpus.source == ("Grüße", "", "Zwei\u0085 Hunde")
    assert corpus.target == ("Greetings", "empty", "Two dogs")
    assert (corpus.source_language, corpus.target_language) == ("de", "en")
    assert corpus.alignment is None


def test_files_that_are_no_pair_are_named(file: File) -> None:
    three, two = file("a\nb\nc\n", "s"), file("a\nb\n", "t")
    with pytest.raises(ValueError, match=r"found 3 in .*/s and 2 in .*/t\..* nothing was cut off"):
        read_parallel(three, two)
    for name, content in (("t", ""), ("t", "\n \n"), ("t.gz", ""), ("t.gz", "\n \n")):
        with pytest.raises(ValueError, match=f"/{name}: .* found an empty file"):
            read_parallel(three, file(content, name))
    cut = file(gzip.compress(b"one line\n" * 97, mtime=0)[:-11], "cut")
    with pytest.raises(ValueError, match=r"cut: expected a whole gzip file"):
        read_parallel(cut, cut)
