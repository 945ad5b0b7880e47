"""Make a release: ``python tools/release.py VERSION [--repository URL] [--site URL]``.

It writes the version everywhere it stands: pyproject.toml, ``lessons_lib.__version__``,
CITATION.cff, CHANGELOG.md; it builds the wheel into ``dist/``; and it writes address and digest of
this wheel into the install cell of every chapter, the badge, and the other editions. Everything has
to be committed before, and if anything fails, git brings that back. Committing, tagging and pushing
are left to a person.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

import editions
import environment
from environment import CourseError, Project
from labels import Settings, read_settings

NOTHING = "Nothing yet."
UNRELEASED = "## Unreleased"
NOWHERE = ".invalid"
"""No name that ends so can be registered (RFC 2606): it stands in for an address not known yet."""


def git(root: Path, *words: str) -> str:
    """What a git command says.

    Raises:
        CourseError: it failed, or there is no git.
    """
    try:
        done = subprocess.run(
            ["git", *words], cwd=root, capture_output=True, encoding="utf-8", check=False
        )
    except FileNotFoundError:
        raise CourseError("a release needs git, which is not on the PATH") from None
    if done.returncode:
        raise CourseError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def checked_version(new: str, present: str) -> str:
    """The version as it has to be written.

    Raises:
        CourseError: it is no version, or not a newer one.
    """
    try:
        version = Version(new.removeprefix("v"))
    except InvalidVersion:
        raise CourseError(f"expected a version such as 0.2.0 (PEP 440), found {new!r}") from None
    if version.local or version.epoch:
        raise CourseError(f"expected a version without + and !, found {new!r}")
    if version <= Version(present):
        raise CourseError(f"expected a version above the present {present}, found {new}")
    return str(version)


def checked_address(option: str, address: str) -> str:
    """An address without the slash at its end.

    Raises:
        CourseError: it is no https address, or the one that stands in before a release.
    """
    parts = urlsplit(address)
    if (parts.hostname or "").endswith(NOWHERE):
        name = option.removeprefix("--").upper()
        raise CourseError(f"make release needs {name}=https://..., found only {address!r}")
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment:
        raise CourseError(f"{option}: expected https://..., found {address!r}")
    return address.rstrip("/")


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Put a changed text into a file.

    Raises:
        CourseError: there is no such file.
    """
    if not path.exists():
        raise CourseError(f"expected a file {path.name}, found none")
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


def set_lines(path: Path, **lines: str) -> None:
    """Replace lines of a file, each the only one that begins with a name and ``=`` or ``:``.

    Raises:
        CourseError: there is no file, or not one such line.
    """

    def change(text: str) -> str:
        for name, value in lines.items():
            found = list(re.finditer(rf"^{name}\s*[=:]\s*(.*)$", text, re.MULTILINE))
            if len(found) != 1:
                raise CourseError(
                    f"{path.name}: expected one line that begins with {name}, found {len(found)}"
                )
            text = text[: found[0].start(1)] + value + text[found[0].end(1) :]
        return text

    rewrite(path, change)


def new_changelog(text: str, version: str, date: str) -> str:
    """The changelog with what was unreleased under the new version.

    Raises:
        CourseError: there is nothing unreleased, or no such heading.
    """
    before, *after = re.split(rf"^{UNRELEASED}$", text, flags=re.MULTILINE)
    if len(after) != 1:
        raise CourseError(f"CHANGELOG.md: expected one heading {UNRELEASED!r}")
    content, heading, older = re.fullmatch(r"(.*?)(^## |\Z)(.*)", after[0], re.S | re.M).groups()  # type: ignore[union-attr]
    if content.strip() in ("", NOTHING):
        raise CourseError(f"CHANGELOG.md: expected what changed under {UNRELEASED!r}, found none")
    parts = [f"{before}{UNRELEASED}", NOTHING, f"## {version} - {date}", content.strip("\n")]
    return "\n\n".join([*parts, *([heading + older] if heading else [])]).rstrip("\n") + "\n"


def renew(project: Project, old: Settings, new: Settings, date: str) -> None:
    """Write version, date and addresses into the files of a checkout, but for the notebooks."""
    root = project.root
    version, repository, site = f'"{new.version}"', f'"{new.repository}"', f'"{new.site}"'
    set_lines(root / "pyproject.toml", version=version, repository=repository, site=site)
    set_lines(root / "lessons_lib" / "__init__.py", __version__=version)
    cited = f"{date}\nurl: {new.site}\nrepository-code: {new.repository}"
    rewrite(
        root / "CITATION.cff",
        lambda text: re.sub(r"^(url|repository-code):.*\n", "", text, flags=re.MULTILINE),
    )
    set_lines(root / "CITATION.cff", **{"version": new.version, "date-released": cited})
    bib = {"  version": f"{{{new.version}}},", "  year": f"{{{date[:4]}}},"}
    set_lines(root / "book" / "course.bib", **bib)
    rewrite(root / "CHANGELOG.md", lambda text: new_changelog(text, new.version, date))
    addresses = {
        f"{old.repository}/blob/{old.tag}/": f"{new.repository}/blob/{new.tag}/",
        old.wheel: new.wheel,
        old.repository: new.repository,
        old.site: new.site,
    }
    known = re.compile("|".join(map(re.escape, addresses)))
    pages = [root / name for name in ("README.md", "CONTRIBUTING.md", "_config.yml")]
    for path in [*pages, root / "book" / "course.bib", *sorted((root / "book").glob("*.md"))]:
        if path.exists():
            rewrite(path, lambda text: known.sub(lambda found: addresses[found[0]], text))
    if read_settings(root) != new:
        raise CourseError(f"pyproject.toml: expected {new}, found {read_settings(root)}")


def release(
    project: Project, version: str, repository: str = "", site: str = "", date: str = ""
) -> list[str]:
    """Make a release in a checkout; on an error nothing has changed.

    Args:
        project: the course.
        version: the new one.
        repository: its address, if that changes.
        site: address of the published book, if that changes.
        date: ISO date; today if empty.

    Returns:
        Names of the files that changed, the wheel included.

    Raises:
        CourseError: something does not allow a release; the message says what.
    """
    root = project.root
    old = read_settings(root)
    new = replace(
        old,  # with the digest of the old wheel, until there is the new one
        version=checked_version(version, old.version),
        repository=checked_address("--repository", repository or old.repository),
        site=checked_address("--site", site or old.site),
    )
    editions.colab_address(new, "any")  # refuses what Colab cannot open
    if changed := git(root, "status", "--porcelain"):
        raise CourseError(f"expected everything committed, found changes:\n{changed[:1000]}")
    if git(root, "tag", "--list", new.tag).strip():
        raise CourseError(f"the tag {new.tag} exists already, and a tag is never moved")
    try:
        renew(project, old, new, date or datetime.date.today().isoformat())
        with tempfile.TemporaryDirectory() as folder:  # before the notebooks, which have its digest
            wheel = environment.build_package(project, Path(folder))
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            set_lines(root / "pyproject.toml", wheel_sha256=f'"{digest}"')
            with contextlib.redirect_stdout(io.StringIO()):
                editions.prepare(project)
                editions.build(project)
            (root / "dist").mkdir(exist_ok=True)
            shutil.copy(wheel, root / "dist")
    except BaseException:
        git(root, "checkout", "--quiet", "--", ".")
        git(root, "clean", "--quiet", "--force", *editions.FOLDERS)
        raise
    names = git(root, "status", "--porcelain", "-z").split("\0")
    return [*sorted(name[3:] for name in names if name), f"dist/{wheel.name}"]


def main(arguments: list[str] | None = None, root: Path | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="release.py", description=(__doc__ or "").split(":")[0])
    parser.add_argument("version", help="for example 0.2.0")
    parser.add_argument("--repository", default="", help="address on GitHub, if it changes")
    parser.add_argument("--site", default="", help="address of the published book, if it changes")
    options = parser.parse_args(arguments)
    project = Project(root or Path(__file__).resolve().parent.parent)
    try:
        changed = release(project, options.version, options.repository, options.site)
    except CourseError as error:
        print(f"\n{error}\nNothing was changed.", file=sys.stderr)
        return 1
    made = read_settings(project.root)
    print("Changed:", *changed, sep="\n  ")
    print(f"""
Look at it (git diff), run make test, and then:
    git add --all
    git commit -m "Release {made.version}"
    git tag -a {made.tag} -m "Release {made.version}"
    git push origin HEAD {made.tag}
Publish this file of dist/ with the release {made.tag}; it must never be replaced:
    {made.wheel}""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
