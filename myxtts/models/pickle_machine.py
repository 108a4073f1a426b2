"""A pickle reader that calls nothing: it knows containers, numbers, strings, tensors, and names that it never looks up.

Python's own unpickler imports what a file names and calls it, so a checkpoint from a stranger can run anything. This one interprets the
opcodes itself. A name in the file stays a `Name`; where the file asks for it to be called, one of the few functions of CALLS, written
here or in torch_file.py, is run in its place, or the file is refused. Nor can a small file ask for much memory: what is made by other means
than writing it out is counted against a budget, and no value of the file is formatted before it is known to be short.
"""

import pickletools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from myxtts.config import ModelError

LIMIT = 1 << 23  # bytes of one pickle: weights lie outside it, so that of the largest model takes a few hundred kB
# bytes of strings, names and arrays that one pickle may have made: a pickle holds each twice at most, as text and as what is made of it
BUDGET = 2 * LIMIT
LONGEST_NAME, LONGEST_SHOWN, LONGEST_KEY = 200, 80, 8  # letters, letters, members of a tuple
# classes of the reference implementation's configurations, and paths in them: kept by name and content, never built
INERT = re.compile(r"(TTS|trainer|coqpit)(\.\w+)*\.\w+|pathlib\.(Pure)?(Posix|Windows)?Path")
PLAIN_KEYS = (str, int, float, bool, bytes, type(None))
_NUMPY_NUMBER = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16)")


@dataclass(frozen=True)
class Name:
    """What a pickle calls `module.name`; nothing is imported for it."""

    full: str


@dataclass
class Inert:
    """An object of a class of the reference implementation: its name, the arguments and the state that the file gives it."""

    name: str
    arguments: tuple = ()
    state: Any = field(default=None, repr=False)


class Refused(ModelError):
    """The pickle asks for what a checkpoint does not need."""


class _Mark:
    pass


def shown(value: Any) -> str:
    """What a message may say of a value from the file: the repr of nested tuples can be longer than memory."""
    if isinstance(value, str) and len(value) <= LONGEST_SHOWN:
        return repr(value)
    return str(value) if _is_number(value) else f"({type(value).__name__})"


def _plain_dict(*arguments: Any) -> dict:
    """OrderedDict(), defaultdict(factory) and Counter(mapping). A mapping is taken as it is: copies could multiply without end."""
    if not arguments or (len(arguments) == 1 and isinstance(arguments[0], Name) and arguments[0].full in _FACTORIES):
        return {}
    if len(arguments) == 1 and isinstance(arguments[0], dict):
        return arguments[0]
    raise Refused("a dictionary is built from what is none")


def _members(members: Any) -> list:
    """set(list): its members as a list."""
    if not isinstance(members, list):
        raise Refused("a set is built from what is no list")
    return members


def _encode(text: Any, encoding: Any) -> bytes:
    """bytes, as protocol 2 writes them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused("_codecs.encode with other arguments than those of a byte string")
    return text.encode("latin1")


def _numpy_dtype(name: Any, *_: Any) -> np.dtype:
    if not isinstance(name, str) or not _NUMPY_NUMBER.fullmatch(name):
        raise Refused(f"a numpy type {shown(name)} that is no number")
    return np.dtype(name)


def _numpy_scalar(dtype: Any, content: Any) -> Any:
    if not isinstance(dtype, np.dtype) or not isinstance(content, bytes) or len(content) != dtype.itemsize:
        raise Refused("a numpy number whose bytes do not fit its type")
    return np.frombuffer(content, dtype)[0]


def _numpy_array(*_: Any) -> np.ndarray:
    return np.empty(0, np.uint8)  # its type and content come with its state


def _fill_array(array: np.ndarray, state: Any) -> None:
    _, shape, dtype, fortran, content = state
    if not array.flags.owndata or not isinstance(dtype, np.dtype) or not isinstance(content, bytes):
        raise Refused("a numpy array that is not made of numbers")
    array.__setstate__((1, shape, dtype, fortran, content))  # which checks that the bytes are as many as the shape needs


def _is_number(value: Any) -> bool:
    return type(value) is int and value.bit_length() <= 64


def _is_key(key: Any) -> bool:
    """Whether a dictionary may have it: nested tuples, long ones and long numbers can take for ever to hash."""
    if isinstance(key, tuple):
        return len(key) <= LONGEST_KEY and all(not isinstance(part, tuple) and _is_key(part) for part in key)
    return isinstance(key, (*PLAIN_KEYS, Name)) and (type(key) is not int or _is_number(key))


_FACTORIES = {f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("dict", "list", "int", "float", "str", "set")}
Calls = Mapping[str, Callable[..., Any]]
CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _plain_dict,
    "collections.defaultdict": _plain_dict,
    "collections.Counter": _plain_dict,
    "builtins.set": _members,
    "__builtin__.set": _members,
    "_codecs.encode": _encode,
    "numpy.dtype": _numpy_dtype,
    **{f"numpy.{core}.multiarray.scalar": _numpy_scalar for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": _numpy_array for core in ("core", "_core")},
}
_NAMES = {*_FACTORIES, "numpy.ndarray"}


class Machine:
    """Reads one pickle after another from a file.

    calls: what may be called besides CALLS, by full name; names: further names that may stand as values or arguments;
    persistent: storage identifier -> object.
    """

    def __init__(self, file: Any, calls: Calls, names: set[str], persistent: Callable[[Any], Any]):
        self.file = file
        self.calls = {**CALLS, **calls}
        self.names = {*_NAMES, *names}
        self.persistent = persistent
        self.budget = BUDGET

    def load(self) -> Any:
        """The next object. Raises ModelError: refused, or damaged."""
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        start = self.file.tell()
        try:
            for opcode, argument, _ in pickletools.genops(self.file):
                if opcode.name == "STOP":
                    return self._pop()
                if self.file.tell() - start > LIMIT:
                    raise Refused(f"its pickle is longer than {LIMIT >> 20} MiB")
                self._run(opcode.name, argument)
        except ModelError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, RecursionError, MemoryError) as error:
            raise ModelError(f"its pickle is damaged ({str(error)[:LONGEST_NAME] or type(error).__name__})") from None
        raise ModelError("its pickle has no end")

    def _run(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self.stack.append(argument)
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name in _HANDLERS:
            _HANDLERS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise Refused(f"it uses the pickle opcode {name}, which tensors and plain containers do not need")

    def _pop(self) -> Any:
        value = self.stack.pop()
        if isinstance(value, _Mark):
            raise ValueError("a mark stands where a value should")
        return value

    def _pop_to_mark(self) -> list[Any]:
        position = len(self.stack) - 1
        while not isinstance(self.stack[position], _Mark):
            position -= 1
            if position < 0:
                raise ValueError("a mark is missing")
        values = self.stack[position + 1 :]
        del self.stack[position:]
        return values

    def _mark(self, _: Any) -> None:
        self.stack.append(_Mark())

    def _drop(self, _: Any) -> None:
        self.stack.pop()

    def _tuple(self, count: int | None) -> None:
        values = self._pop_to_mark() if count is None else [self._pop() for _ in range(count)][::-1]
        self.stack.append(tuple(values))

    def _list(self, _: Any) -> None:
        self.stack.append(self._pop_to_mark())

    def _dict(self, _: Any) -> None:
        values = self._pop_to_mark()
        self.stack.append({})
        self._store(values)

    def _append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise Refused(f"it appends to a {type(target).__name__}")
        target.extend(values)

    def _store(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise Refused(f"it sets items of a {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not _is_key(key):
                raise Refused(f"it has a {type(key).__name__} as the key of a dictionary")
            target[key] = value

    def _remember(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def _recall(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def _spend(self, size: int) -> None:
        """Counts what an opcode makes of what the file says once: a string remembered can be copied for two bytes each time."""
        self.budget -= size
        if self.budget < 0:
            raise Refused(f"it makes more than {BUDGET >> 20} MiB of strings, names and arrays")

    def _name(self, full: str) -> None:
        if len(full) > LONGEST_NAME:
            raise Refused(f"it asks for a name of {len(full)} letters")
        self._spend(len(full))
        if not (full in self.calls or full in self.names or INERT.fullmatch(full)):
            raise Refused(f"it asks for {full}, which a checkpoint has no use for")
        self.stack.append(Name(full))

    def _stack_name(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str) or len(name) + len(module) > LONGEST_NAME:
            raise ValueError("a name that is no short string")
        self._name(f"{module}.{name}")

    def _call(self, _: Any) -> None:
        arguments, target = self._pop(), self._pop()
        if not isinstance(target, Name) or not isinstance(arguments, tuple):
            raise Refused(f"it calls a {type(target).__name__}")
        if INERT.fullmatch(target.full):
            self.stack.append(Inert(target.full, arguments))
        elif target.full in self.calls:
            made = self.calls[target.full](*arguments)
            self._spend(len(made) if isinstance(made, (str, bytes)) else 0)
            self.stack.append(made)
        else:
            raise Refused(f"it calls {target.full}")

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self.stack[-1]
        if isinstance(target, Inert):
            target.state = state
        elif isinstance(target, np.ndarray):
            _fill_array(target, state)
            self._spend(target.nbytes)
        elif isinstance(target, np.dtype) and (not isinstance(state, tuple) or state[1:2] == (">",)):
            raise Refused("numpy numbers of a machine with the other byte order")
        elif not isinstance(target, (dict, np.dtype)):  # of these it is a module's version, a type's byte order: nothing to keep
            raise Refused(f"it sets the state of a {type(target).__name__}")

    def _storage(self, _: Any) -> None:
        self.stack.append(self.persistent(self._pop()))


_PUSHED = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_HANDLERS: dict[str, Callable[[Machine, Any], None]] = {
    "MARK": Machine._mark,
    "POP": Machine._drop,
    "POP_MARK": lambda machine, _: machine._pop_to_mark() and None,
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "TUPLE": lambda machine, _: machine._tuple(None),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "LIST": Machine._list,
    "DICT": Machine._dict,
    "FROZENSET": Machine._list,
    "APPEND": lambda machine, _: machine._append([machine._pop()]),
    "APPENDS": lambda machine, _: machine._append(machine._pop_to_mark()),
    "ADDITEMS": lambda machine, _: machine._append(machine._pop_to_mark()),
    "SETITEM": lambda machine, _: machine._store([machine._pop(), machine._pop()][::-1]),
    "SETITEMS": lambda machine, _: machine._store(machine._pop_to_mark()),
    "PUT": Machine._remember,
    "BINPUT": Machine._remember,
    "LONG_BINPUT": Machine._remember,
    "MEMOIZE": lambda machine, _: machine._remember(None),
    "GET": Machine._recall,
    "BINGET": Machine._recall,
    "LONG_BINGET": Machine._recall,
    "GLOBAL": lambda machine, argument: machine._name(argument.replace(" ", ".", 1)),
    "STACK_GLOBAL": Machine._stack_name,
    "REDUCE": Machine._call,
    "NEWOBJ": Machine._call,
    "BUILD": Machine._build,
    "BINPERSID": Machine._storage,
}
