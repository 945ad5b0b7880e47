"""Make a release; committing, tagging and pushing it are left to a person."""

from __future__ import annotations

import datetime
import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from packaging.version import InvalidVersion, Version

import editions
import environment
from environment import CourseError, Project
from labels import Settings, read_settings

FORMS = {
    "repository": r"https://github\.com/[\w-]+/[\w.-]+",
    "site": r"https://[\w.-]+(/[\w./~-]*)?",
}
# Nobody can register these (RFC 2606): they stand in for an address not known yet.
NOWHERE = re.compile(r"//([^/]*\.)?(invalid|example(\.\w+)?|test)(/|$)|OWNER/NAME|<")
NAMED_IN = ("README.md", "CONTRIBUTING.md", "_config.yml", "book/*.md")  # addresses, in the text


def git(root: Path, *words: str) -> str:
    """What a git command says. CourseError: it failed."""
    command = ["git", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise CourseError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def checked_version(new: str, present: str) -> str:
    """The version as it has to be written. CourseError: it is no version, or not a newer one."""
    try:
        version = Version(new.removeprefix("v"))
    except InvalidVersion:
        raise CourseError(f"expected a version such as 0.2.0 (PEP 440), found {new!r}") from None
    if version <= Version(present):
        raise CourseError(f"expected a version above the present {present}, found {new}")
    return str(version)


def checked_address(option: str, address: str) -> str:
    """An address without what its end may have. CourseError: it is none, or only stands in."""
    address = address.rstrip("/").removesuffix(".git")
    if NOWHERE.search(address):
        raise CourseError(f"make release needs {option.upper()}=https://..., found {address!r}")
    if not re.fullmatch(FORMS[option], address):
        form = {"repository": "https://github.com/OWNER/NAME"}.get(option, "https://...")
        raise CourseError(f"--{option}: expected {form}, found {address!r}")
    return address


def rewrite(path: Path, *changes: tuple[str, str]) -> None:
    """Replace what each pattern finds in a file. CourseError: it is not exactly one place."""
    text = path.read_text(encoding="utf-8")
    for pattern, new in changes:
        text, count = re.subn(pattern, new.replace("\\", "\\\\"), text, flags=re.MULTILINE)
        if count != 1:
            raise CourseError(f"{path.name}: expected one place with {pattern}, found {count}")
    path.write_text(text, encoding="utf-8", newline="\n")


def renew(root: Path, old: Settings, new: Settings, date: str) -> None:
    """Write version, date and addresses into the files of a checkout, but for the notebooks."""
    names = ("version", "repository", "site")
    rewrite(
        root / "pyproject.toml", *[(f"^{n} = .*$", f'{n} = "{getattr(new, n)}"') for n in names]
    )
    module = root / "lessons_lib" / "__init__.py"
    rewrite(module, ("^__version__ = .*$", f'__version__ = "{new.version}"'))
    cited = f"date-released: {date}\nurl: {new.site}\nrepository-code: {new.repository}"
    dated = r"^date-released: .*(\nurl: .*)?(\nrepository-code: .*)?$"
    rewrite(root / "CITATION.cff", ("^version: .*$", f"version: {new.version}"), (dated, cited))
    fields = {"year": date[:4], "version": new.version, "url": new.site}.items()
    entry = [(rf"^  {name} += \{{[^}}]*", f"  {name:<7} = {{{value}") for name, value in fields]
    rewrite(root / "book" / "course.bib", *entry)
    heading = f"## Unreleased\n\nNothing yet.\n\n## {new.version} - {date}\n\n"
    try:
        rewrite(root / "CHANGELOG.md", (r"^## Unreleased\n\n+(?!Nothing yet|##)", heading))
    except CourseError:
        raise CourseError("CHANGELOG.md: expected what changed under ## Unreleased") from None
    addresses = {f"{old.repository}/blob/{old.tag}/": f"{new.repository}/blob/{new.tag}/"}
    addresses |= {old.wheel: new.wheel, old.repository: new.repository, old.site: new.site}
    known = re.compile("|".join(map(re.escape, addresses)))
    for path in (path for name in NAMED_IN for path in root.glob(name)):
        text = known.sub(lambda found: addresses[found[0]], path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8", newline="\n")


def release(project: Project, version: str, repository: str, site: str) -> int:
    """Write version and addresses, build the wheel into ``dist/``, and say how to publish them.

    Address and digest of the wheel stand in every chapter and edition. ``repository`` and ``site``
    are empty where they stay.
    CourseError: something does not allow a release; git has brought back what was there.
    """
    root = project.root
    try:
        old = read_settings(root)
        new = replace(
            old,  # with the digest of the old wheel, until there is the new one
            version=checked_version(version, old.version),
            repository=checked_address("repository", repository or old.repository),
            site=checked_address("site", site or old.site),
        )
        if changed := git(root, "status", "--porcelain"):
            raise CourseError(f"expected everything committed, found changes:\n{changed[:1000]}")
        if git(root, "tag", "--list", new.tag).strip():
            raise CourseError(f"the tag {new.tag} exists already, and a tag is never moved")
        try:
            renew(root, old, new, datetime.date.today().isoformat())
            with tempfile.TemporaryDirectory() as folder:  # first: the notebooks have its digest
                wheel = environment.build_package(project, Path(folder))
                line = f'wheel_sha256 = "{hashlib.sha256(wheel.read_bytes()).hexdigest()}"'
                rewrite(root / "pyproject.toml", ("^wheel_sha256 = .*$", line))
                editions.renew(project)
                (root / "dist").mkdir(exist_ok=True)
                shutil.copy(wheel, root / "dist")
        except BaseException:
            git(root, "checkout", "--quiet", "--", ".")
            git(root, "clean", "--quiet", "--force", *editions.FOLDERS)
            raise
    except CourseError as error:
        raise CourseError(f"{error}\nNothing was changed.") from None
    print(f"""
{git(root, "status", "--short")}
Look at it (git diff), run make test, and then:
    git add --all
    git commit -m "Release {new.version}"
    git tag -a {new.tag} -m "Release {new.version}"
    git push origin HEAD {new.tag}
Publish this file of dist/ with the release {new.tag}; it must never be replaced:
    {new.wheel}""")
    return 0
