"""Make a release: ``python tools/release.py VERSION [--repository URL] [--site URL]``.

It writes the version everywhere it stands: pyproject.toml, ``lessons_lib.__version__``,
CITATION.cff, CHANGELOG.md; it builds the wheel into ``dist/``; and it writes address and digest of
this wheel into the install cell of every chapter, the badge, and the other editions. All of that
happens in a copy first. Only if everything went well are the changed files written back.
Committing, tagging and pushing are left to a person.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from packaging.version import InvalidVersion, Version

import editions
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
            ["git", *words], cwd=root, capture_output=True, text=True, encoding="utf-8", check=False
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


def refuse_unready(root: Path, settings: Settings) -> None:
    """Stop unless what is here is committed and the tag is free."""
    changed = git(root, "status", "--porcelain").splitlines()
    if changed:
        shown = "\n".join(changed[:10])
        raise CourseError(f"expected everything committed, found changes:\n{shown}")
    if git(root, "tag", "--list", settings.tag).strip():
        raise CourseError(f"the tag {settings.tag} exists already, and a tag is never moved")


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Put a changed text into a file.

    Raises:
        CourseError: there is no such file.
    """
    if not path.exists():
        raise CourseError(f"expected a file {path.name}, found none")
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


def set_line(text: str, start: str, value: str, after: str = "") -> str:
    """Replace the one line that begins with ``start``.

    Args:
        text: of the file.
        start: for example ``version = "``.
        value: the whole new line.
        after: beginning of the line to put it behind where there is none; empty for an error.
    """
    lines = text.split("\n")
    found = [k for k, line in enumerate(lines) if line.startswith(start)]
    if not found and after:
        before = [k for k, line in enumerate(lines) if line.startswith(after)]
        if len(before) == 1:
            lines.insert(before[0] + 1, value)
            return "\n".join(lines)
    if len(found) != 1:
        raise CourseError(f"expected one line that begins with {start!r}, found {len(found)}")
    lines[found[0]] = value
    return "\n".join(lines)


def new_changelog(text: str, version: str, date: str) -> str:
    """The changelog with what was unreleased under the new version.

    Raises:
        CourseError: there is nothing unreleased, or no such heading.
    """
    lines = text.split("\n")
    if lines.count(UNRELEASED) != 1:
        raise CourseError(f"CHANGELOG.md: expected one heading {UNRELEASED!r}")
    start = lines.index(UNRELEASED)
    later = (k for k, line in enumerate(lines) if k > start and line.startswith("## "))
    end = next(later, len(lines))
    content = "\n".join(lines[start + 1 : end]).strip("\n")
    if content.strip() in ("", NOTHING):
        raise CourseError(f"CHANGELOG.md: expected what changed under {UNRELEASED!r}, found none")
    middle = [UNRELEASED, "", NOTHING, "", f"## {version} - {date}", "", content, ""]
    return "\n".join([*lines[:start], *middle, *lines[end:]]).rstrip("\n") + "\n"


def renew(project: Project, old: Settings, new: Settings, date: str) -> None:
    """Write version, date and addresses into the files of a checkout, but for the notebooks."""
    root = project.root

    def pyproject(text: str) -> str:
        text = set_line(text, 'version = "', f'version = "{new.version}"')
        text = set_line(text, 'repository = "', f'repository = "{new.repository}"')
        return set_line(text, 'site = "', f'site = "{new.site}"')

    def citation(text: str) -> str:
        text = set_line(text, "version:", f"version: {new.version}")
        text = set_line(text, "date-released:", f"date-released: {date}")
        text = set_line(text, "url:", f"url: {new.site}", after="date-released:")
        return set_line(text, "repository-code:", f"repository-code: {new.repository}", "url:")

    rewrite(root / "pyproject.toml", pyproject)
    rewrite(root / "CITATION.cff", citation)
    rewrite(root / "CHANGELOG.md", lambda text: new_changelog(text, new.version, date))
    rewrite(
        root / "lessons_lib" / "__init__.py",
        lambda text: set_line(text, "__version__ = ", f'__version__ = "{new.version}"'),
    )
    addresses = {
        f"{old.repository}/blob/{old.tag}/": f"{new.repository}/blob/{new.tag}/",
        old.wheel: new.wheel,
        old.repository: new.repository,
        old.site: new.site,
    }
    pages = [root / name for name in ("README.md", "CONTRIBUTING.md", "_config.yml")]
    for path in [*pages, *sorted((root / "book").glob("*.md"))]:
        if path.exists():
            rewrite(path, lambda text: replaced_once(text, addresses))
    verify(root, new, date)


def replaced_once(text: str, changes: dict[str, str]) -> str:
    """A text with each old piece replaced; what came in is not replaced again."""
    for number, old in enumerate(changes):
        text = text.replace(old, f"\0{number}\0")
    for number, new in enumerate(changes.values()):
        text = text.replace(f"\0{number}\0", new)
    return text


def verify(root: Path, settings: Settings, date: str) -> None:
    """Read back what was written, with the parsers of these formats."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    found = (read_settings(root), project["version"])
    if found != (settings, settings.version):
        raise CourseError(f"pyproject.toml: expected {settings}, found {found}")
    if (str(citation["version"]), str(citation["date-released"])) != (settings.version, date):
        raise CourseError(f"CITATION.cff: expected {settings.version} and {date}")


def build_wheel(root: Path, version: str) -> Path:
    """Build the wheel of a checkout in its ``dist``.

    Raises:
        CourseError: pip could not; its own words are in the message.
    """
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-P", "-m", "pip", "wheel", *options, "--wheel-dir", "dist", "."]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, encoding="utf-8", check=False
    )
    wheels = list((root / "dist").glob(f"lessons_lib-{version}-*.whl"))
    if done.returncode or len(wheels) != 1:
        raise CourseError(f"the wheel could not be built:\n{done.stdout}{done.stderr}")
    return wheels[0]


def copy_back(copy: Path, root: Path, names: list[str]) -> list[str]:
    """Bring files of the copy into the checkout, all of them or none.

    Args:
        copy: the changed copy.
        root: the checkout.
        names: files that are in either; those that the copy lacks are removed.

    Returns:
        Names of the files that changed.
    """
    before: dict[Path, bytes | None] = {}
    changed = []
    try:
        for name in names:
            path, source = root / name, copy / name
            old = path.read_bytes() if path.exists() else None
            new = source.read_bytes() if source.exists() else None
            if old == new:
                continue
            changed.append(name)
            before[path] = old
            if new is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(new)
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise
    return changed


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
    refuse_unready(root, new)
    tracked = git(root, "ls-files", "-z").rstrip("\0").split("\0")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "course"
        for name in tracked:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, copy / name)
        with contextlib.redirect_stdout(io.StringIO()):
            renew(Project(copy), old, new, date or datetime.date.today().isoformat())
            wheel = build_wheel(copy, new.version)  # before the notebooks, which have its digest
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            rewrite(
                copy / "pyproject.toml",
                lambda text: set_line(text, "wheel_sha256 = ", f'wheel_sha256 = "{digest}"'),
            )
            editions.prepare(Project(copy))
            editions.build(Project(copy))
        made = [path.relative_to(copy).as_posix() for path in editions.present(Project(copy))]
        names = [*sorted({*tracked, *made}), wheel.relative_to(copy).as_posix()]
        return copy_back(copy, root, names)


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
    version = made.version
    print("Changed:", *changed, sep="\n  ")
    print("\nLook at it (git diff), run make test, and then:")
    print("    git add --all")
    print(f'    git commit -m "Release {version}"')
    print(f'    git tag -a v{version} -m "Release {version}"')
    print(f"    git push origin HEAD v{version}")
    print(f"Publish this file of dist/ with the release {made.tag}; it must never be replaced:")
    print(f"    {made.wheel}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
