from __future__ import annotations

import copy
import pickle

import pytest

from easycluster_protocol import _constants as constants
from easycluster_protocol._wire.messages import Message, pack_head, parse_head


def test_names_of_scripts() -> None:
    """The port is the documentation's, and SINGLE shows itself as scripts write it."""
    assert constants.DEFAULT_PORT == 11999
    assert repr(constants.SINGLE) == "easycluster.SINGLE"
    assert constants.VERSION.count(".") == 2


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_single_stays_itself(protocol: int) -> None:
    """SINGLE is the same object after a copy and after a journey."""
    assert pickle.loads(pickle.dumps(constants.SINGLE, protocol)) is constants.SINGLE
    assert copy.deepcopy(constants.SINGLE) is constants.SINGLE


def test_single_has_a_thread_id_of_its_own() -> None:
    """The thread id that means SINGLE fits the envelope, at the end of its range."""
    message, *_ = parse_head(pack_head(Message(1, thread=constants.SINGLE_THREAD)))

    assert message.thread == constants.SINGLE_THREAD == -(2**63)
