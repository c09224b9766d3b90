"""The module that `define_common` fills; importing it makes it a definitions module."""

from easycluster_protocol._definitions.modules import install

install(__name__)
