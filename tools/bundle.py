"""One file for use without the network: ``python tools/bundle.py [--site DIR] [--out FILE]``.

It holds the built site, which works from a folder, the notebooks of the chapters as plain
Markdown and code (the Colab editions), the same without solutions, and the wheel of
``lessons_lib``. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import environment
import website
from environment import CourseError, Project
from labels import read_settings

README = """\
How Attention Learns, version {version}, to use without the network

Read   Unpack this file and open site/index.html in a browser.
       The playground needs a server, since browsers load no modules from a folder:
           python -m http.server --directory site
       and open http://127.0.0.1:8000

Run    In an environment with Python 3.11 or newer, PyTorch, Jupyter, SciPy, pandas, scikit-learn,
       Matplotlib, seaborn, tqdm, ipywidgets and sentencepiece:
           pip install --no-deps {wheel}
           jupyter lab notebooks
       notebooks/ has the chapters with solutions, student/ those without.
       Chapters on real text run on a small corpus of their own where there is no network.

The text is under CC BY 4.0, the code under the MIT licence. Online: {site}
"""


def contents(project: Project, site: Path, wheel: Path) -> dict[str, bytes]:
    """What is in the bundle, by path.

    Raises:
        CourseError: the site or the editions are not there.
    """
    own = [path for path in site.rglob("*") if path.parent != site or path.suffix != ".zip"]
    files = {f"site/{path.relative_to(site).as_posix()}": path for path in own}
    if "site/index.html" not in files:
        raise CourseError(f"expected a site in {site}, found none; run `make book` first")
    for folder, target in (("colab", "notebooks"), ("student", "student")):
        found = sorted((project.root / folder).glob("*.ipynb"))
        if not found:
            raise CourseError(f"expected notebooks in {folder}/, found none; run `make editions`")
        files |= {f"{target}/{path.name}": path for path in found}
    files |= {name: project.root / name for name in ("LICENSE", "CITATION.cff")}
    files[wheel.name] = wheel
    settings = read_settings(project.root)
    words = README.format(version=settings.version, wheel=wheel.name, site=settings.site)
    return {"README.txt": words.encode()} | {
        name: path.read_bytes() for name, path in files.items() if path.is_file()
    }


def write(files: Mapping[str, bytes], top: str, target: Path) -> None:
    """Write an archive with one folder; the order of ``files`` makes no difference."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{top}/{name}")  # of 1980: the bytes depend on content alone
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, compresslevel=9)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    project = Project(Path(__file__).resolve().parent.parent)
    top = f"how-attention-learns-{read_settings(project.root).version}"
    parser = argparse.ArgumentParser(prog="bundle.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--site", type=Path, default=project.build / "html")
    parser.add_argument("--out", type=Path, default=project.build / f"{top}.zip")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            wheel = environment.build_package(project, Path(folder))
            write(contents(project, options.site, wheel), top, options.out)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    website.offer(options.site, options.out)
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
