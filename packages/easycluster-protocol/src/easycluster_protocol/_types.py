"""Names of types that several modules share.

They are imported under `TYPE_CHECKING` only: a host that was sent our code never loads this module. So the
functions of shipped modules that scripts call do not use these names: tools could not read their annotations
at run time.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple, Union

#: A value of a script: any object. It may be an argument, a result, an attribute, or what a name stands for.
Value = Any

#: The positional and the keyword arguments of a script's call.
Args = Tuple[Value, ...]
Kwargs = Dict[str, Value]

#: What a script's names stand for: the ``__dict__`` of a module, or a dictionary like it.
Namespace = Dict[str, Value]

#: `pickle.dumps`, or a function with its arguments.
Dumps = Callable[..., bytes]

#: Bytes of a message, perhaps in the memory of a script's value; a view is flat and of bytes (format ``B``).
Buffer = Union[bytes, bytearray, memoryview]
