"""Configs that checkpoints carry as text: data, never a program."""
import ast
import builtins

from ..errors import CheckpointError

# The constructors that a config printed as text may name.
DATA = {'bool', 'bytes', 'complex', 'dict', 'float', 'frozenset', 'int', 'list', 'set', 'slice', 'str', 'tuple',
        'range', 'Ellipsis', 'NotImplemented'}


def code_in(text: str) -> str | None:
    """Returns the first thing that a config's text would run beyond making data, such as `os.system`; None for none.

    Configs as mmengine prints them are assignments of literals and `dict(...)`. Text that is no Python is not run.
    Imports, calls by anything but a name, and names of built-in functions are code.

    Raises:
        CheckpointError: The text is nested deeper than Python reads.
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return None
    except (MemoryError, RecursionError) as error:
        raise CheckpointError('the config in it is nested too deep: it is damaged') from error
    found = [name for node in nodes if (name := _asked_for(node)) is not None]
    return max(found, key=lambda name: '.' in name) if found else None


def _asked_for(node: ast.AST) -> str | None:
    """Returns what a node of a program asks for, None where it is data."""
    if isinstance(node, ast.Import):
        return node.names[0].name
    if isinstance(node, ast.ImportFrom):
        return f'{"." * node.level}{node.module or ""}.{node.names[0].name}'
    if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
        return _short(node.func)
    if isinstance(node, ast.Attribute) and node.attr.startswith('__'):
        return _short(node)
    if isinstance(node, ast.Name) and (node.id.startswith('__') or (
            callable(getattr(builtins, node.id, None)) and node.id not in DATA)) and isinstance(node.ctx, ast.Load):
        return node.id
    return None


def _short(node: ast.AST) -> str:
    """Returns a callee as text, without its own arguments."""
    if isinstance(node, ast.Attribute):
        return f'{_short(node.value)}.{node.attr}'
    if isinstance(node, ast.Call):
        return f'{_short(node.func)}()'
    return node.id if isinstance(node, ast.Name) else type(node).__name__.lower()
