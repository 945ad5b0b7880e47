"""Runs on the workers of a Dask scheduler, which are asked first whether they have this package."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

PATIENCE = 10.0
"""Seconds that a scheduler may take to answer."""


class ClusterError(RuntimeError):
    """The runs cannot go to a scheduler; the message says why, and what to do."""


@contextmanager
def cluster_executor(address: str | None) -> Iterator[Executor | None]:
    """The executor of a Dask scheduler, for ``run_seeds``; ``None`` without an address.

    A run whose worker dies is done again by another one. Workers that join later are not asked. A
    ``ClusterError`` if there is no Dask, no scheduler, no worker, or one with another package.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client, Security
        from distributed.comm.core import connect
    except ImportError:
        raise ClusterError("a scheduler needs Dask; get it with: pip install distributed") from None

    async def greet() -> None:
        with_keys = Security().get_connection_args("client")
        await (await connect(address, timeout=PATIENCE, **with_keys)).close()

    try:
        # A client alone waits for ever for a scheduler that takes the connection and is silent.
        asyncio.run(asyncio.wait_for(greet(), PATIENCE))
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"expected a Dask scheduler at {address}, found none ({type(error).__name__}: "
            f"{str(error) or 'no answer'}); start one with: dask scheduler"
        ) from None
    with client:
        ours, theirs = _asking()(), set(client.run(_asking()).values())
        if theirs != {ours}:
            raise ClusterError(
                f"expected workers of {address} with lessons_lib {ours}, found "
                f"{', '.join(sorted(theirs - {ours})) or 'none'}; start them where this package is "
                "installed, with: dask worker"
            )
        yield client.get_executor()


def _asking() -> Callable[[], str]:
    # A function inside another one travels as code: the workers' package may not have it.
    def version() -> str:
        """Version of ``lessons_lib`` and the beginning of a digest of its source."""
        import hashlib
        from pathlib import Path

        try:
            import lessons_lib
        except ImportError:
            return "(not installed)"
        folder = Path(str(lessons_lib.__file__)).parent
        found = hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*.*") if path.suffix in (".py", ".toml")):
            found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
        return f"{lessons_lib.__version__} (source {found.hexdigest()[:12]})"

    return version
