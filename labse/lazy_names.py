"""Names of a package that are imported when they are first used."""

import importlib
from collections.abc import Callable


def lazy_names(
    package: str, modules: dict[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """What a package's `__init__` needs so that importing it stays cheap.

    Args:
      package: its name.
      modules: the module, seen from the package, by each public name. A name
        cannot be that of a module in the package itself.

    Returns:
      `__getattr__`, `__dir__` and `__all__` of the package.
    """

    def get(name: str):
        if name not in modules:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}"
            )
        module = importlib.import_module(f"{package}.{modules[name]}")
        return getattr(module, name)

    return get, lambda: sorted(modules), sorted(modules)
