"""The documentation's examples of "Manipulating objects on the server", run word for word.

What had to be mended in an example is listed in the docstring of its test. Its hosts are arranged around it, see
`helpers.documented`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster import RemoteProxy
from helpers.documented import Session, corrected
from helpers.servers import Server
from helpers.states import registrations_restored

CONNECT = """\
>>> from easycluster import *
>>> key = read_key_file('secret.key')
>>> rmt = Client(key, 'localhost')
"""

SERVER_OBJECTS = """\
>>> define_common('''
... class TestObject1(ServerObject):
...    def __init__(self, val):
...        self.val = val
...    def getval(self):
...        return self.val
...    def newobj(self):
...        return TestObject1(self.val + 1)
...
... def get_object_vals(lst):
...     return [obj.val for obj in lst]
... ''')
>>>
>>> # Call this on every connection after calling define_common.
>>> rmt.update_definitions()
>>>
>>> obj1 = rmt.TestObject1(100)
>>> obj1
<RemoteProxy for oid 1 on localhost:11999>
>>> obj1.getval()
100
>>> obj2 = obj1.newobj()
>>> obj2
<RemoteProxy for oid 2 on localhost:11999>
>>> obj2.getval()
101
>>> rmt.get_object_vals[obj1, obj2]
[100, 101]
>>>
"""

EXPORTS = """\
>>> define_common('''
... class TestObject2(TestObject1):
...     export_methods = ('getval',)
...     export_attrs = ('val',)
...
... class TestObject3Proxy(RemoteProxy):
...     proxy_methods = ('getval',)
...     proxy_attrs = ('val',)
...
... class TestObject3(TestObject1):
...     proxy_class = TestObject3Proxy
... ''')
>>>
>>> rmt.update_definitions()
>>> obj2 = rmt.TestObject2(200)
>>> obj2.val
200
>>> obj2.getval()
200
>>> obj2.non_existant_method()
Traceback (most recent call last):
  File "<stdin>", line 1, in <module>
AttributeError: 'dynamic_proxy_getval_val' object has no attribute 'non_existant_method'
>>>

>>> define_common('''
... ''')
>>> rmt.update_definitions()
>>> obj3 = rmt.TestObject3(300)
>>> type(obj3)
<class 'easycluster_code.TestObject3Proxy'>
>>> obj3.val
300
"""

MAKE_SERVER_CLASS = """\
>>> define_common('''
... import array
... make_server_class(array.array)
... ''')
>>> rmt.update_definitions()
>>> rmt_array = rmt.array.array('B', 1234)
"""


@pytest.fixture(autouse=True)
def no_server_classes() -> Iterator[None]:
    """The classes that the examples register here, too, are forgotten after the test."""
    with registrations_restored():
        yield


def type_examples(session: Session, peername: str = "localhost:11999") -> None:
    """Type all of the section, on the server of this name."""
    objects = corrected(SERVER_OBJECTS, ("get_object_vals[obj1, obj2]", "get_object_vals([obj1, obj2])"))
    session.run(objects.replace("localhost:11999", peername))
    session.run(
        corrected(
            EXPORTS,
            (
                "'non_existant_method'\n",
                "'non_existant_method'; exported are the methods getval and the attributes val\n",
            ),
            ("easycluster_code", "easycluster.remote_code"),
        )
    )
    session.run(corrected(MAKE_SERVER_CLASS, ("1234", "[1, 2, 3, 4]")))


def test_examples(documented_server: Server, session: Session) -> None:
    """The section "Manipulating objects on the server", typed from its first line to its last.

    Mended: `get_object_vals` is called, with a list; the AttributeError goes on with what is exported; the module of
    TestObject3Proxy is easycluster.remote_code; an array of bytes is made of several, not of 1234, which is none.
    """
    session.run(CONNECT)
    type_examples(session)

    rmt_array = session.names["rmt_array"]
    assert RemoteProxy in type(rmt_array).__mro__  # after isinstance() mypy knows no more than that
    rmt_array.append(5)
    assert (len(rmt_array), rmt_array[4], rmt_array.typecode) == (5, 5, "B")


def test_examples_over_each_transport(session: Session, connect: Callable[..., Any]) -> None:
    """The same over each transport.

    Mended: as above; and proxies name the server that there is.
    """
    rmt = connect()
    session.run(">>> from easycluster import *\n")
    session.names["rmt"] = rmt
    type_examples(session, rmt.peername)

    assert isinstance(session.names["rmt_array"], RemoteProxy)
