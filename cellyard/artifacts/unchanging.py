"""Types that a walk over objects passes by: what never changes, and what is only a way to other objects."""

from __future__ import annotations

import datetime
import decimal
import fractions
import functools
import io
import logging
import pathlib
import re
import types
import uuid

__all__ = ["ATOMS", "SINGLETON_MODULES", "TRANSPARENT", "UNCHANGING_OF_PANDAS"]

#: Types whose values never change and hold nothing that does.
ATOMS: set[type] = {
    type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis), type(NotImplemented),
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
    decimal.Decimal, fractions.Fraction, uuid.UUID, re.Pattern, pathlib.PosixPath, pathlib.PurePosixPath,
    types.ModuleType, types.CodeType, types.GetSetDescriptorType,
    types.MemberDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType, type,
    logging.Logger, logging.RootLogger, io.TextIOWrapper,
}  # fmt: skip
#: Types that hold others but are not themselves an identity that a change can show through.
TRANSPARENT: set[type] = {
    tuple, frozenset, types.MethodType, types.BuiltinFunctionType, functools.partial, types.MappingProxyType,
}  # fmt: skip
#: Modules whose singletons are found by name on the other side.
SINGLETON_MODULES = ("numpy.dtypes", "threading", "_thread", "weakref", "_weakref")

#: Of pandas: what never changes, with all that is derived from it.
UNCHANGING_OF_PANDAS = {"Index", "ExtensionDtype", "NAType", "NaTType", "Timestamp", "Timedelta", "Period", "Interval"}
