"""Gathers a module and all that it uses of this project into one file of Python, for where this project is not.

    one_file("components.registry.pin_model")  ->  the file's text: imports, the definitions used, the module itself

A definition is a function, a class or a value at the top of a module. Each is taken as it is written, after those that
it names. What nothing names is left out, and so are the imports that only those need.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def one_file(module: str, root: Path = ROOT) -> str:
    """
    root: the folder of the project's packages.

    Raises:
        ValueError: two definitions have one name, or something of this project is imported in a way that cannot be
            followed: as a whole module, under another name, or within a function.
    """
    gathering = _Gathering(root)
    source = gathering.source(module)
    for statement in source.tree.body[1:]:  # the first is its docstring
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            gathering.add(source, statement)
    docstring = f'"""{ast.get_docstring(source.tree, clean=False)}"""'
    return "\n\n\n".join([docstring, "\n".join(sorted(gathering.imports.values())), *gathering.parts]) + "\n"


class _Source:
    """A module of this project. imports: by the name that it gives them, (module, name there)."""

    def __init__(self, module: str, root: Path) -> None:
        path = root.joinpath(*module.split("."))
        self.module, self.file = module, path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        text = self.file.read_text(encoding="utf-8")
        self.lines, self.tree = text.splitlines(), ast.parse(text)
        self.imports: dict[str, tuple[str, str]] = {}
        self.definitions: dict[str, ast.stmt] = {}
        for statement in self.tree.body:
            if isinstance(statement, ast.Import):
                self.imports |= {one.asname or one.name.split(".")[0]: (one.name, "") for one in statement.names}
            elif isinstance(statement, ast.ImportFrom):
                self.imports |= {one.asname or one.name: (str(statement.module), one.name) for one in statement.names}
            else:
                self.definitions |= dict.fromkeys(_defined(statement), statement)

    def text(self, statement: ast.stmt) -> str:
        """As it is written, with its decorators and the comments right above."""
        start = min([statement, *getattr(statement, "decorator_list", [])], key=lambda node: node.lineno).lineno - 1
        while self.lines[start - 1].startswith("#"):
            start -= 1
        return "\n".join(self.lines[start : statement.end_lineno])


class _Gathering:
    """imports: the statement, by the name that it gives. parts: the definitions, each after those that it names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.imports: dict[str, str] = {}
        self.parts: list[str] = []
        self._sources: dict[str, _Source] = {}
        self._origins: dict[str, str] = {}  # of every name in the file
        self._taken: set[ast.stmt] = set()

    def source(self, module: str) -> _Source:
        if module not in self._sources:
            self._sources[module] = _Source(module, self.root)
        return self._sources[module]

    def add(self, source: _Source, statement: ast.stmt) -> None:
        """The statement, after all that it names."""
        if statement in self._taken:
            return
        self._taken.add(statement)
        for name in _defined(statement):
            self._claim(name, source.module)
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                self._take(source, node.id)
            elif isinstance(node, ast.ImportFrom) and self._is_ours(str(node.module)):
                raise ValueError(f"{source.file}:{node.lineno} imports within a function; import above.")
        self.parts.append(source.text(statement))

    def _take(self, source: _Source, name: str) -> None:
        if name in source.definitions:
            self.add(source, source.definitions[name])
        elif name in source.imports:  # any other is Python's, or of a function
            module, original = source.imports[name]
            if self._is_ours(module):
                self._take_from(module, name, original, source)
            else:
                told = f"from {module} import {original}" if original else f"import {module}"
                self.imports[name] = told if name in (original, module) else f"{told} as {name}"
                self._claim(name, told)

    def _take_from(self, module: str, name: str, original: str, source: _Source) -> None:
        if name != original or (self.root.joinpath(*module.split("."), f"{name}.py")).is_file():
            raise ValueError(f"{source.file} imports {module} in a way that cannot be followed; import its names.")
        self._take(self.source(module), name)

    def _claim(self, name: str, origin: str) -> None:
        if self._origins.setdefault(name, origin) != origin:
            raise ValueError(f"{name} is of {origin} and of {self._origins[name]}; one file needs another name.")

    def _is_ours(self, module: str) -> bool:
        return (self.root / module.split(".")[0] / "__init__.py").is_file()


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
