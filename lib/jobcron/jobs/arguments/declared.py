"""The arguments that a job class declares: checked when a job is created, kept on its row, read as attributes.

A class declares them by annotations; an interface that it implements declares them by fields of zope.schema::

    class SendWelcome(BaseRunnableJob):
        class_job_type = MailType.WELCOME
        target: User          # what the job is about
        template: str
        copies: int = 1

An argument with a column or relationship in the family's table is stored there, any other in the job's JSON
data, encoded by `encoding`. Reading it returns a copy: assign to the attribute to change it.
"""

from __future__ import annotations

import inspect
import re
import types
from copy import deepcopy
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Union, get_args, get_origin

from sqlalchemy import inspect as mapping_of
from zope.interface import implementedBy
from zope.schema import Field, getFieldsInOrder
from zope.schema.interfaces import ValidationError

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments._reserved import check_name
from jobcron.jobs.arguments.encoding import decode, encode
from jobcron.jobs.arguments.exact import NOTES
from jobcron.jobs.arguments.json_data import cut_repr

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

TARGET = "target"

# As in dataclasses: an annotation may be a string that cannot be evaluated yet.
_NOT_AN_ARGUMENT = re.compile(r"\s*(\w+\.)*(ClassVar|Final|InitVar)\b")

_BOUNDS = ("min", "max", "min_length", "max_length")


class Missing:
    """Marks an argument without a default."""


class Argument:
    """A declared argument, and the attribute that reads and sets it.

    Args:
        name: the argument's name.
        default: its default, or `Missing`.
        field: the zope.schema field that declares it, or None if only an annotation does.
    """

    def __init__(self, name: str, default: object = Missing, field: Field | None = None) -> None:
        self.name = name
        self.default = default
        self.field = field

    @property
    def is_required(self) -> bool:
        """Whether a job cannot be created without it."""
        return self.default is Missing

    def __get__(self, job: Declaring | None, owner: type[Declaring]) -> object:
        """Return the job's value; on the class, return the default."""
        if job is None:
            if self.default is Missing:
                raise AttributeError(f"{owner.__name__}.{self.name} is an argument of its jobs, without a default")
            return self.default
        if in_family(owner, self.name):
            return getattr(job.context, self.name)
        data = job._document
        if NOTES in data:
            raise InvalidJobData(f"expected the data of {job!r} to be readable, a newer version has written it")
        if self.name in data:
            return decode(dict.__getitem__(data, self.name), job.session)  # a copy: nobody gets the row's own
        if self.default is Missing:
            raise AttributeError(f"expected {self.name} in the data of {job!r}, it is not there")
        return deepcopy(self.default)

    def __set__(self, job: Declaring, value: object) -> None:
        """Check a value and set it."""
        owner = type(job)
        self.check(owner, value)
        if in_family(owner, self.name):
            setattr(job.context, self.name, value)
        else:
            job.metadata[self.name] = encode(value, f"{owner.__name__}.{self.name}")
        job.note_argument(self.name)

    def check(self, owner: type[Declaring], value: object) -> None:
        """Check a value for this argument.

        Raises:
            InvalidJobData: it does not fit; the message names the argument, the expected and the actual value.
        """
        if self.field is not None:
            _check_field(owner, self.name, self.field, value)
        hints = owner.declared().hints
        if self.name in hints:
            check_annotation(owner, self.name, hints[self.name], value)


def _check_field(owner: type[object], name: str, field: Field, value: object) -> None:
    try:
        field.bind(None).validate(value)
    except ValidationError as error:
        # any object: a field; its kind decides which bounds it has
        bounds = [f"{b} {getattr(field, b)}" for b in _BOUNDS if getattr(field, b, None) is not None]
        expected = ", ".join([type(field).__name__, *bounds])
        reason = type(error).__doc__ or type(error).__name__
        raise InvalidJobData(
            f"expected {name} of {owner.__name__} to be {expected}, got {cut_repr(value)}: {reason}"
        ) from error


def check_annotation(owner: type[object], name: str, annotation: object, value: object) -> None:
    """Check a value against an annotation.

    Raises:
        InvalidJobData: it does not fit.
    """
    from typeguard import CollectionCheckStrategy, ForwardRefPolicy, TypeCheckError, check_type

    try:
        check_type(
            value,
            annotation,
            forward_ref_policy=ForwardRefPolicy.IGNORE,
            collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS,
        )
    except TypeCheckError as error:
        raise InvalidJobData(
            f"expected {name} of {owner.__name__} to be {written(annotation)}, got {cut_repr(value)}: {error}"
        ) from error


def written(annotation: object) -> str:
    """Return an annotation as it would look in code."""
    is_annotated = get_origin(annotation) is Annotated
    return inspect.formatannotation(get_args(annotation)[0] if is_annotated else annotation)


class Declared(NamedTuple):
    """The declarations of a job class.

    Attributes:
        arguments: the arguments, by name.
        target: the class of its jobs' target, `object` for any; None if it declares none.
        target_is_optional: whether a job may have no target.
        hints: the annotations, evaluated.
    """

    arguments: dict[str, Argument]
    target: type[object] | None
    target_is_optional: bool
    hints: dict[str, object]


class Declaring:
    """The base of job classes that declare arguments: what the declarations need to know of them."""

    reserved_names: ClassVar[frozenset[str]] = frozenset()
    """Names that every job has: an annotation with one of them declares no argument."""

    delegated_names: ClassVar[frozenset[str]] = frozenset()
    """Those of them that no annotation can mean: values that only the shared row sets, and methods."""

    has_fields: ClassVar[bool] = False
    """Whether the fields of the class's interfaces have been turned into arguments."""

    _declared: ClassVar[Declared | None] = None

    if TYPE_CHECKING:  # attributes of the job

        def note_argument(self, name: str) -> None: ...

        @property
        def context(self) -> object: ...

        @property
        def metadata(self) -> dict[str, object]: ...

        @property
        def _document(self) -> dict[str, object]: ...

        @property
        def session(self) -> Session: ...

    @classmethod
    def declared(cls) -> Declared:
        """Return the arguments and the target that the class declares (see `jobcron.jobs.arguments.declared`)."""
        if cls._declared is None:
            cls._declared = declared_by(cls)
        return cls._declared

    @classmethod
    def family_names(cls) -> frozenset[str]:
        """Return the names of a job's values in the family's table."""
        return frozenset()


def in_family(owner: type[Declaring], name: str) -> bool:
    """Return whether the family's table stores an argument."""
    return name in owner.family_names()


def declares(owner: type[Declaring], name: str) -> bool:
    """Return whether jobs of a class have this argument, or this value in the family's table."""
    return in_family(owner, name) or any(isinstance(vars(b).get(name), Argument) for b in owner.__mro__)


def install_annotations(owner: type[Declaring]) -> None:
    """Turn the annotations in the body of a new job class into its arguments.

    Raises:
        IncompleteJobType: the name of one is already an attribute of every job.
    """
    for name, annotation in inspect.get_annotations(owner).items():
        check_name(owner, name, annotation, owner.delegated_names)
        text = annotation if isinstance(annotation, str) else str(get_origin(annotation) or annotation)
        if name.startswith("_") or name in owner.reserved_names or _NOT_AN_ARGUMENT.match(text):
            continue
        setattr(owner, name, Argument(name, owner.__dict__.get(name, Missing)))


def declared_by(owner: type[Declaring]) -> Declared:
    """Return the declarations of a job class.

    Raises:
        InvalidJobData: an annotation cannot be evaluated.
    """
    install_fields(owner)
    every = {name: inspect.getattr_static(owner, name) for name in dir(owner)}
    arguments = {name: found for name, found in every.items() if isinstance(found, Argument)}
    hints = hints_of(owner)
    return Declared(arguments, *_target_class(owner, hints.get(TARGET)), hints)


def install_fields(owner: type[Declaring]) -> None:
    """Turn the fields of a class's interfaces into its arguments; interfaces follow once the class exists.

    A field that is already a property of the class is not an argument.
    """
    if owner.__dict__.get("has_fields"):
        return
    owner.has_fields = True
    for interface in implementedBy(owner):  # type: ignore[no-untyped-call]
        for name, field in getFieldsInOrder(interface):
            known = inspect.getattr_static(owner, name, None)
            if known is None or isinstance(known, Argument):
                default = field.default if known is None or known.default is Missing else known.default
                if default is None and field.required:
                    default = Missing
                setattr(owner, name, Argument(name, default, field))


def hints_of(owner: type[object]) -> dict[str, object]:
    """Return the annotations of a job class and its bases, evaluated.

    Raises:
        InvalidJobData: one of them cannot be evaluated.
    """
    found: dict[str, object] = {}
    for base in reversed(owner.__mro__):
        # any object: any base of the class
        if not getattr(base, "reserved_names", None) or base.__dict__.get("reserved_names"):
            continue  # one of ours, or not a job class
        try:
            found.update(inspect.get_annotations(base, eval_str=True))
        except Exception as error:  # evaluating a user's text may raise anything
            raise InvalidJobData(
                f"expected the annotations of {base.__module__}.{base.__qualname__} to name what its module "
                f"has at run time, got {type(error).__name__}: {error}"
            ) from error
    return found


def _target_class(owner: type[object], annotation: object) -> tuple[type[object] | None, bool]:
    if annotation is None:
        return None, True
    is_union = get_origin(annotation) in (Union, types.UnionType)
    options = list(get_args(annotation)) if is_union else [annotation]
    classes = [option for option in options if option is not type(None)]
    optional = len(classes) < len(options)
    if classes in ([Any], [object]):
        return object, optional
    if len(classes) == 1 and isinstance(classes[0], type) and mapping_of(classes[0], raiseerr=False) is not None:
        return classes[0], optional
    raise InvalidJobData(
        f"expected target of {owner.__name__} to be annotated with a mapped class or, for any, with object, "
        f"got {written(annotation)}"
    )
