"""Lists the mutants of Python files: each is a file with one change that a test should notice.

A program for the environment of Cosmic Ray, whose operators make many of the changes:
https://cosmic-ray.readthedocs.io/en/latest/reference/operators/

It has none for strings, for keyword arguments and dictionary items that are left out, and for ``in``: those are here.
"""

import difflib
import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

COMPARISONS: Final = (
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
    *("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
)
CALCULATIONS: Final = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul")
# Cosmic Ray's operators, without those whose changes mean nothing here: no test notices a type like `int ^ None`.
CORE: Final = (
    *("AddNot", "ExceptionReplacer", "NumberReplacer", "RemoveDecorator", "ZeroIterationForLoop"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    "ReplaceUnaryOperator_Delete_Not",
    *(f"ReplaceComparisonOperator_{change}" for change in COMPARISONS),
    *(f"ReplaceBinaryOperator_{change}" for change in CALCULATIONS),
)
# A condition that is for type checkers alone makes no difference when the program runs.
TYPES_ALONE: Final = "if TYPE_CHECKING"
OPENING_QUOTES: Final = re.compile(r"^\w*(\"\"\"|'''|\"|')")
# Nodes whose children are arguments or separate them.
ARGUMENTS: Final = frozenset({"arglist", "classdef", "decorator", "trailer"})

# A node of a syntax tree: https://parso.readthedocs.io/en/latest/docs/parser-tree.html
Node = Any
# Where a change begins and ends.
Place = tuple[Any, Any]


class ChangeString:
    """Changes a string, unless it is a docstring."""

    def mutation_positions(self, node: Node) -> Iterator[Place]:
        """Find a string, or the beginning of one with placeholders."""
        if node.type == "fstring_start" or (node.type == "string" and node.parent.type != "simple_stmt"):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Node, _index: int) -> Node:
        """Add a character to its beginning."""
        node.value = OPENING_QUOTES.sub(r"\g<0>X", node.value)
        return node


class LeaveOut:
    """Leaves out a keyword argument or a dictionary item."""

    def mutation_positions(self, node: Node) -> Iterator[Place]:
        """Find those that are directly in a node."""
        for item in _items(node):
            yield item[0].start_pos, item[-1].end_pos

    def mutate(self, node: Node, index: int) -> Node:
        """Remove one with the comma after it, or the one before it."""
        item = [*_items(node)][index]
        first, after = node.children.index(item[0]), node.children.index(item[-1]) + 1
        if node.children[after : after + 1] == [","]:
            after += 1
        elif node.children[first - 1 : first] == [","]:
            first -= 1
        del node.children[first:after]
        return node


class NegateMembership:
    """Swaps ``in`` and ``not in``, and negates the condition of a comprehension."""

    def mutation_positions(self, node: Node) -> Iterator[Place]:
        """Find such an operator or condition directly in a node."""
        for place in _memberships(node):
            yield place.start_pos, place.end_pos

    def mutate(self, node: Node, index: int) -> Node:
        """Negate one."""
        place = [*_memberships(node)][index]
        if node.type == "comp_if":
            place.get_first_leaf().prefix += "not ("
            place.get_last_leaf().value += ")"
        elif place.type == "comp_op":
            place.children[0].value = ""
        else:
            place.value = "not in"
        return node


OWN: Final = (ChangeString, LeaveOut, NegateMembership)


def _items(node: Node) -> Iterator[list[Node]]:
    """Find the keyword arguments or items directly in a node. Each is a list of children, without a comma."""
    if node.type in ARGUMENTS:
        yield from ([child] for child in node.children if child.type == "argument" and child.children[1] == "=")
    elif node.type == "dictorsetmaker":
        item: list[Node] = []
        for child in [*node.children, ","]:
            if child != ",":
                item.append(child)
                continue
            # A key, a colon and a value, or two asterisks and a dictionary.
            if [part == ":" for part in item] == [False, True, False] or item[:1] == ["**"]:
                yield item
            item = []


def _memberships(node: Node) -> Iterator[Node]:
    if node.type == "comp_if":
        yield node.children[1]
    elif node.type == "comparison":
        yield from (child for child in node.children[1::2] if child.get_code().split()[-1] == "in")


def list_mutants(path: Path) -> Iterator[dict[str, Any]]:
    """List the mutants of a file.

    Args:
        path: The file.

    Returns:
        The file, the changed line, the change as lines of a diff, and the changed code.
    """
    # The project's environment has no Cosmic Ray.
    ast, mutating, plugins = (importlib.import_module(f"cosmic_ray.{name}") for name in ("ast", "mutating", "plugins"))
    operators = [*(plugins.get_operator(f"core/{name}") for name in CORE), *OWN]
    source = path.read_text(encoding="utf-8")
    for operator in operators:
        nodes = [*ast.ast_nodes(ast.get_ast(source))]
        for number in range(sum(len([*operator().mutation_positions(node)]) for node in nodes)):
            code = mutating.mutate_code(source, operator(), number)
            _, _, header, *change = difflib.unified_diff(source.splitlines(), code.splitlines(), n=0, lineterm="")
            if _is_python(code) and not _is_the_same(*change[:2]):
                line = int(header.split()[1].strip("-").partition(",")[0])
                yield {"file": path.as_posix(), "line": line, "change": change, "code": code}


def _is_the_same(before: str, after: str = "") -> bool:
    """Whether a change can make no difference to a running program, by its lines in the diff.

    The operators take the asterisk before keyword-only arguments for a product.
    """
    return TYPES_ALONE in before or after[1:].replace("/,", "*,") == before[1:]


def _is_python(code: str) -> bool:
    try:
        compile(code, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


if __name__ == "__main__":
    for name in sys.argv[1:]:
        for mutant in list_mutants(Path(name)):
            print(json.dumps(mutant))
